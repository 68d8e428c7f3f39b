import NN
import Torch

extension BottleneckConfiguration {
  /// Puts bottlenecks behind the parts of each layer.
  public func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter {
    let made = try make(in: model)
    let input = try invertible(in: model, named: name)
    let parts: [any AdapterPart] = zip(made.places, made.modules).map { place, module in
      PlacedPart(module, as: module, named: name, at: place.path, in: place.place, isTraining: model.isTraining)
    }
    return Adapter(name: name, configuration: self, parts: input + parts + made.shared)
  }

  /// Bottlenecks for a model, not in their places yet, and the part that all of them share, where there is one.
  ///
  /// - Throws: ``TunerError`` where settings do not go together or with the model.
  func make(
    in model: any CausalLM
  ) throws -> (
    places: [(path: String, place: SublayerAdapters)], modules: [BottleneckAdapter], shared: [any AdapterPart]
  ) {
    try validate()
    let places = try places(in: model)
    let rules = try sharedRules(device: model.device)
    let modules = try places.map { _ in
      try BottleneckAdapter(self, size: model.shape.hiddenSize, rules: rules, device: model.device)
    }
    let root = places[0].path.prefix { $0 != "." }
    let shared = rules.map { SharedRules($0, root: String(root), learns: hypercomplex?.learnsRules ?? true) }
    return (places, modules, shared.map { [$0] } ?? [])
  }

  /// The map before the first layer, put there; empty where there is none.
  private func invertible(in model: any CausalLM, named name: String) throws -> [any AdapterPart] {
    guard isInvertible else { return [] }
    guard let (path, place) = model.inputPlace() else {
      throw TunerError("inv_adapter: this model has no place before its first layer")
    }
    let module = try CouplingAdapter(self, size: model.shape.hiddenSize, device: model.device)
    return [PlacedPart(module, as: module, named: name, at: path, in: place, isTraining: model.isTraining)]
  }

  /// The rules that all maps share; nil where they have their own, or none.
  func sharedRules(device: Device) throws(TorchError) -> HypercomplexRules? {
    guard let hypercomplex, hypercomplex.sharesRules else { return nil }
    return try HypercomplexRules(hypercomplex, uniform: 1, normal: hypercomplex.ruleRange, device: device)
  }

  /// Where bottlenecks stand in a model.
  ///
  /// - Throws: ``TunerError`` where that is nowhere, or a layer is left out that is not there.
  func places(in model: any CausalLM) throws(TunerError) -> [(path: String, place: SublayerAdapters)] {
    let all = model.sublayerPlaces()
    guard !all.isEmpty else { throw TunerError("this model has no place behind the parts of its layers for bottleneck adapters") }
    for layer in leftOut ?? [] where layer >= model.shape.layerCount {
      throw TunerError("leave_out names the layer \(layer), and the model has \(model.shape.layerCount), from 0")
    }
    let chosen = all.filter { path, _ in
      let parts = path.split(separator: ".")
      let isWanted = parts.last == "attention_adapters" ? isBehindAttention : isBehindFeedForward
      return isWanted && !parts.contains { Int($0).map { leftOut?.contains($0) == true } == true }
    }
    guard !chosen.isEmpty else { throw TunerError("leave_out names every layer, which leaves no place for a bottleneck") }
    return chosen
  }
}

/// A module in a place of the model as a part of an adapter. Its names have no place for the adapter's, which ``AdapterHubFolder``
/// puts into a file's.
final class PlacedPart<Installed>: AdapterPart {
  private let module: any LearntModule
  private let path: String
  private let place: AdapterPlace<Installed>
  private let name: String

  /// Puts a module into its place, not yet active.
  ///
  /// - Parameters:
  ///   - module: the module.
  ///   - installed: the same, as the place takes it.
  ///   - name: the adapter's name.
  ///   - path: the place's path.
  ///   - place: the place.
  ///   - isTraining: whether its dropout works.
  init(
    _ module: any LearntModule, as installed: Installed, named name: String, at path: String, in place: AdapterPlace<Installed>,
    isTraining: Bool
  ) {
    (self.module, self.name, self.path, self.place) = (module, name, path, place)
    module.train(isTraining)
    place.install(installed, named: name)
  }

  var trained: [(path: String, value: Tensor)] { module.owned.filter(\.learns).map { ("\(path).\($0.name)", $0.value) } }
  var saved: [SavedTensor] { module.owned.map { SavedTensor("\(path).\($0.name)", $0.value) } }

  var isDivisible: Bool { place is SublayerAdapters }

  func activate(_ on: Bool) { place.activate(name, on) }
  func weigh(_ weight: Double) { (place as? SublayerAdapters)?.weigh(name, weight) }
  func remove() { place.remove(name) }

  func merge() throws -> () -> Void {
    throw TunerError(
      "the adapter “\(name)” stands behind the parts of each layer and bends what passes, which no weights can do: it cannot be "
        + "merged; keep it beside the model and load it with --adapter")
  }
}

/// The rules that all maps of an adapter share.
private final class SharedRules: AdapterPart {
  private let rules: HypercomplexRules
  private let root: String
  private let learns: Bool

  init(_ rules: HypercomplexRules, root: String, learns: Bool) { (self.rules, self.root, self.learns) = (rules, root, learns) }

  private var named: [(path: String, value: Tensor)] { rules.named.map { ("\(root).shared_parameters.\($0.name)", $0.value) } }
  var trained: [(path: String, value: Tensor)] { learns ? named : [] }
  var saved: [SavedTensor] { named.map { SavedTensor($0.path, $0.value) } }
  var isDivisible: Bool { true }
  func activate(_ on: Bool) {}
  func remove() {}
  func merge() throws -> () -> Void { {} }
}
