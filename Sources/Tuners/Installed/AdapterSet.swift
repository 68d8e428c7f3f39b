import NN
import Torch

/// The adapters of one model, by name, and which of them are at work.
public final class AdapterSet {
  /// The model they are installed in.
  public let model: any CausalLM
  /// The adapters in order of installation.
  public internal(set) var adapters: [Adapter] = []
  /// The names of those at work, in the order they apply.
  public var active: [String] { uses.map(\.name) }
  /// Those at work, in the order they apply, each with its weight.
  public internal(set) var uses: [AdapterUse] = []
  /// What stood in the model before ``merge()``; nil where nothing is merged.
  var unmerged: UnmergedModel?

  /// No adapters yet. Every parameter of `model` stops taking gradients.
  public init(_ model: any CausalLM) throws(TorchError) {
    self.model = model
    try model.freeze()
  }

  /// The adapter of that name.
  public subscript(name: String) -> Adapter? { adapters.first { $0.name == name } }

  /// Installs a new adapter and makes it the only one at work.
  ///
  /// - Parameters:
  ///   - method: what is installed.
  ///   - name: what it is called among the adapters of the model; without a dot.
  ///   - strict: refuse a name in `target_modules` that matches nothing even if others match.
  ///   - scores: give the adapter a copy of the head that scores texts, to train it.
  /// - Throws: ``TunerError`` where the name is taken or the method cannot be installed; the model is as before then.
  @discardableResult
  public func add(
    _ method: any TuningMethod, named name: String = "default", strict: Bool = true, scores: Bool = false
  ) throws -> Adapter {
    guard self[name] == nil else { throw TunerError("there is an adapter “\(name)” already; give this one another name") }
    try refuseWhileMerged()
    guard !name.isEmpty, !name.contains(".") else {
      throw TunerError("“\(name)” is no name for an adapter: it must not hold a dot")
    }
    let before = uses
    // Biases and whole modules are copied from the base, not from another adapter's own.
    try activate(uses: [])
    do {
      var adapter = try method.install(in: model, named: name, strict: strict)
      if scores { adapter = try adapter.withScoreHead(of: model) }
      adapters.append(adapter)
      try activate([name])
      return adapter
    } catch {
      try activate(uses: before)
      throw error
    }
  }

  /// Makes exactly these adapters work, in this order.
  ///
  /// - Throws: ``TunerError`` for a name that is not installed, or where two would replace the same parameter.
  public func activate(_ names: [String]) throws(TunerError) { try activate(uses: names.map { AdapterUse($0) }) }

  /// Makes exactly these adapters work, in this order, each with its weight. Nothing is loaded or copied.
  ///
  /// - Throws: ``TunerError`` for a name that is not installed or comes twice, a weight that is no number or that an adapter cannot
  ///   have, or where two would replace the same parameter.
  public func activate(uses: [AdapterUse]) throws(TunerError) {
    try refuseWhileMerged()
    let chosen = try chosen(uses)
    try refuseConflicts(chosen)
    for part in adapters.flatMap(\.parts) where !part.isPermanent { part.activate(false) }
    for (adapter, use) in zip(chosen, uses) {
      for part in adapter.parts {
        part.activate(true)
        part.weigh(use.weight)
      }
    }
    self.uses = uses
  }

  private func chosen(_ uses: [AdapterUse]) throws(TunerError) -> [Adapter] {
    var chosen: [Adapter] = []
    for use in uses {
      guard let adapter = self[use.name] else {
        throw TunerError("there is no adapter “\(use.name)”; installed are \(adapters.map(\.name).joined(separator: ", "))")
      }
      guard !chosen.contains(where: { $0 === adapter }) else {
        throw TunerError("the adapter “\(use.name)” is asked for twice; give it one weight")
      }
      guard use.weight.isFinite else { throw TunerError("the weight of “\(use.name)” is \(use.weight), which is no number") }
      if use.weight != 1, let path = unweighable(adapter) {
        throw TunerError(
          "the adapter “\(use.name)” brings its own “\(path)” and cannot take part with a weight of \(use.weight); use it with 1")
      }
      chosen.append(adapter)
    }
    return chosen
  }

  /// What an adapter changes that cannot have a weight.
  private func unweighable(_ adapter: Adapter) -> String? { path(in: adapter) { !$0.isDivisible } }

  /// What the first such part of an adapter changes.
  private func path(in adapter: Adapter, where fits: (any AdapterPart) -> Bool) -> String? {
    adapter.parts.filter(fits).compactMap { $0.replaced.first ?? $0.trained.first?.path }.first
  }

  /// Runs `body` with adapters of their own at work for each request; those of before come back even if it throws.
  ///
  /// - Parameters:
  ///   - requests: the adapters of each request; none for the base alone.
  ///   - tasks: the task of each request, for soft prompts that know several; nil for that of rows of which nobody says one. Empty
  ///     where all are nil.
  ///   - body: generates or scores with the routing it is given, which has to be told whose rows pass.
  /// - Throws: ``TunerError`` where an adapter cannot work on some rows alone; what `body` throws.
  public func routing<Result>(
    _ requests: [[AdapterUse]], tasks: [Int?] = [], _ body: (AdapterRouting) throws -> Result
  ) throws -> Result {
    for uses in requests { try refuseWhole(try chosen(uses)) }
    let choices = requests.enumerated().map { index, uses in
      AdapterRouting.Choice(uses: uses, task: index < tasks.count ? tasks[index] : nil)
    }
    let before = uses
    try refuseWithoutBase(active)
    try activate(uses: [])
    let routing = AdapterRouting(choices, prompts: model.prompts, device: model.device)
    let projections = model.projections().compactMap { $0.slot.value as? AdaptedProjection }
    let places = model.sublayerPlaces().map(\.place)
    for projection in projections { projection.routing = routing }
    for place in places { place.routing = routing }
    model.prompts.routing = routing
    defer {
      model.prompts.routing = nil
      for projection in projections { projection.routing = nil }
      for place in places { place.routing = nil }
    }
    let result = Swift.Result { try body(routing) }
    try activate(uses: before)
    return try result.get()
  }

  /// Refuses adapters that change more than what passes inside the layers or stands before rows: what they change is one for all rows.
  private func refuseWhole(_ chosen: [Adapter]) throws(TunerError) {
    for adapter in chosen {
      guard let path = path(in: adapter, where: { !$0.servesRows }) ?? adapter.deltas.first(where: { $0.path == "lm_head" })?.path
      else { continue }
      throw TunerError(
        "the adapter “\(adapter.name)” changes “\(path)”, which is one for all requests of a batch; give its requests in a file of "
          + "their own, with no “adapter” on the lines")
    }
  }

  /// The virtual tokens that these adapters let stand before a row.
  public func virtualTokens(of uses: [AdapterUse]) -> Int { model.prompts.count(of: uses.map(\.name)) }

  /// Takes an adapter out of the model.
  public func remove(_ name: String) throws(TunerError) {
    try refuseWithoutBase([name])
    try activate(uses: uses.filter { $0.name != name })
    for part in self[name]?.parts ?? [] { part.remove() }
    adapters.removeAll { $0.name == name }
  }

  private func refuseConflicts(_ chosen: [Adapter]) throws(TunerError) {
    var owner: [String: String] = [:]
    for adapter in chosen {
      for path in adapter.parts.flatMap(\.replaced) {
        if let other = owner.updateValue(adapter.name, forKey: path) {
          throw TunerError("the adapters “\(other)” and “\(adapter.name)” each bring their own “\(path)”; use one of them")
        }
      }
    }
  }

  /// Refuses to take away what has no base left below it.
  private func refuseWithoutBase(_ names: [String]) throws(TunerError) {
    for name in names where self[name]?.parts.contains(where: \.isPermanent) == true {
      throw TunerError("“\(name)” has taken the place of the base's weights, which are not kept; load the model again for them")
    }
  }

  /// Runs `body` on the base alone, as a reference policy does; the adapters come back even if it throws.
  public func withAdaptersDisabled<Result>(_ body: () throws -> Result) throws -> Result {
    let before = uses
    try refuseWithoutBase(active)
    try activate(uses: [])
    do {
      let result = try body()
      try activate(uses: before)
      return result
    } catch {
      try activate(uses: before)
      throw error
    }
  }
}
