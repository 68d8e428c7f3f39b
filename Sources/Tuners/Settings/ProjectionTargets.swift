import NN
import Text

/// A method that puts deltas on projections, which its settings choose as PEFT's do.
public protocol ProjectionMethod: TuningMethod {
  /// What is adapted.
  var targets: TargetModules { get set }
  /// What is left out.
  var excluded: TargetModules? { get set }
  /// Layers to adapt; nil for all.
  var layers: [Int]? { get set }
  /// The name of the list of layers where it is not clear.
  var layersPattern: String? { get set }
  /// Modules trained whole and saved with the adapter: `lm_head`, `embed_tokens`.
  var modulesToSave: [String] { get set }
}

extension ProjectionMethod {
  /// The settings that choose modules.
  static var targetSettings: [Setting<Self>] {
    [
      .targets("target_modules", \.targets), .targets("exclude_modules", \.excluded),
      .ints("layers_to_transform", \.layers),
      Setting(
        "layers_pattern", read: { $2.layersPattern = try $0.strings($1)?.first ?? $2.layersPattern },
        value: { $0.layersPattern.map { .string($0) } ?? .null }), .strings("modules_to_save", \.modulesToSave),
    ]
  }

  /// Checks the layers.
  func validateTargets() throws(TunerError) {
    for layer in layers ?? [] where layer < 0 { throw TunerError("layers_to_transform: there is no layer \(layer)") }
  }

  /// Reads the settings of a file, in which modules are named.
  func requireTargets(_ reader: AdapterConfigReader) throws(TunerError) {
    if reader.value("target_modules") == nil { throw reader.error("target_modules", "is missing") }
  }

  /// Puts an adapter with a delta on each target into `model`.
  ///
  /// - Parameters:
  ///   - model: the frozen model.
  ///   - name: the adapter's name.
  ///   - strict: refuse a name that matches nothing even if others match.
  ///   - others: makes the parts that are no deltas of projections, given the paths of those that are; copies of parameters go
  ///     into the overlay.
  ///   - companion: makes what follows training.
  ///   - make: the delta of the projection at a path.
  func install<Delta: AdapterDelta>(
    in model: any CausalLM, named name: String, strict: Bool,
    others: ([String], ParameterOverlay) throws -> [any AdapterPart] = { _, _ in [] },
    companion: ([(path: String, delta: Delta)]) -> (any TrainingCompanion)? = { _ in nil },
    _ make: (_ path: String, _ projection: any Projection) throws -> Delta
  ) throws -> Adapter {
    try validate()
    let places = model.projections().filter { !$0.path.contains(".base_layer") }
    let paths = try resolver.resolve(places.map(\.path), strict: strict)
    let overlay = ParameterOverlay()
    let others = try others(paths, overlay)
    try overlay.add(modules: modulesToSave, of: model)
    var made: [(path: String, slot: ProjectionSlot, delta: Delta)] = []
    for (path, slot) in places where paths.contains(path) { made.append((path, slot, try make(path, slot.value))) }
    // Nothing above has touched the model; nothing below can fail.
    let parts = made.map { path, slot, delta in
      delta.train(model.isTraining)
      return ProjectionPart(delta, named: name, at: path, in: slot)
    }
    return Adapter(
      name: name, configuration: self, parts: parts + others + [overlay], companion: companion(made.map { ($0.path, $0.delta) }))
  }

  /// Where it works.
  var resolver: TargetResolver {
    TargetResolver(targets, excluded: excluded, layers: layers, layersPattern: layersPattern)
  }
}
