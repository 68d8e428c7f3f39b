import NN
import Torch

/// The adapters of one model, by name, and which of them are at work.
public final class AdapterSet {
  /// The model they are installed in.
  public let model: any CausalLM
  /// The adapters in order of installation.
  public private(set) var adapters: [Adapter] = []
  /// The names of those at work, in the order they apply.
  public private(set) var active: [String] = []

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
  /// - Throws: ``TunerError`` where the name is taken or the method cannot be installed; the model is as before then.
  @discardableResult
  public func add(_ method: any TuningMethod, named name: String = "default", strict: Bool = true) throws -> Adapter {
    guard self[name] == nil else { throw TunerError("there is an adapter “\(name)” already; give this one another name") }
    guard !name.isEmpty, !name.contains(".") else {
      throw TunerError("“\(name)” is no name for an adapter: it must not hold a dot")
    }
    let before = active
    // Biases and whole modules are copied from the base, not from another adapter's own.
    try activate([])
    do {
      let adapter = try method.install(in: model, named: name, strict: strict)
      adapters.append(adapter)
      try activate([name])
      return adapter
    } catch {
      try activate(before)
      throw error
    }
  }

  /// Makes exactly these adapters work, in this order.
  ///
  /// - Throws: ``TunerError`` for a name that is not installed, or where two would replace the same parameter.
  public func activate(_ names: [String]) throws(TunerError) {
    var chosen: [Adapter] = []
    for name in names {
      guard let adapter = self[name] else {
        throw TunerError("there is no adapter “\(name)”; installed are \(adapters.map(\.name).joined(separator: ", "))")
      }
      chosen.append(adapter)
    }
    try refuseConflicts(chosen)
    for part in adapters.flatMap(\.parts) where !part.isPermanent { part.activate(false) }
    for part in chosen.flatMap(\.parts) { part.activate(true) }
    active = names
  }

  /// Takes an adapter out of the model.
  public func remove(_ name: String) throws(TunerError) {
    try refuseWithoutBase([name])
    try activate(active.filter { $0 != name })
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
    let before = active
    try refuseWithoutBase(before)
    try activate([])
    do {
      let result = try body()
      try activate(before)
      return result
    } catch {
      try activate(before)
      throw error
    }
  }

  /// Folds the adapters at work into the model's own weights and takes all adapters out.
  ///
  /// Each changed projection is a new one, so the base's tensors stay untouched for whoever holds them.
  ///
  /// - Throws: ``TunerError`` where an adapter does what no weights can; the model is as before then.
  public func mergeAndUnload() throws {
    var commits: [() -> Void] = []
    for (_, slot) in model.projections() {
      guard let adapted = slot.value as? AdaptedProjection else { continue }
      let merged = try adapted.merged()
      commits.append { slot.value = merged }
    }
    for part in active.compactMap({ self[$0] }).flatMap(\.parts) { commits.append(try part.merge()) }
    for (_, embedding) in model.embeddings() where !embedding.deltas.isEmpty {
      let table = try embedding.mergedTable()
      commits.append {
        embedding.weight = table
        (embedding.deltas, embedding.active) = ([], [])
      }
    }
    commits.forEach { $0() }
    for parameter in model.parameters() { try parameter.value.setRequiresGradient(false) }
    adapters = []
    active = []
  }
}
