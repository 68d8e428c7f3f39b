import NN
import Text
import Torch

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
  ///   - tables: makes the delta of a table of vectors; nil where the method has none for those.
  ///   - others: makes the parts that are no deltas of projections, given the paths of those that are; copies of parameters go
  ///     into the overlay.
  ///   - companion: makes what follows training.
  ///   - make: the delta of the projection at a path.
  func install(
    in model: any CausalLM, named name: String, strict: Bool,
    tables: ((_ path: String, _ table: Embedding) throws -> LoRAEmbeddingDelta)? = nil,
    others: ([String], ParameterOverlay) throws -> [any AdapterPart] = { _, _ in [] },
    companion: ([(path: String, delta: any AdapterDelta)]) throws -> (any TrainingCompanion)? = { _ in nil },
    _ make: (_ path: String, _ projection: any Projection) throws -> any AdapterDelta
  ) throws -> Adapter {
    try validate()
    let places = model.projections().filter { !$0.path.contains(".base_layer") }
    let embeddings = tables == nil || targets == .allLinear ? [] : model.embeddings()
    let paths = try resolver.resolve(
      embeddings.map(\.path) + places.map(\.path), strict: strict && targets != Self().targets)
    let overlay = ParameterOverlay()
    try overlay.add(modules: modulesToSave, of: model)
    let others = try others(paths, overlay)
    do {
      var deltas: [(path: String, slot: ProjectionSlot, delta: any AdapterDelta)] = []
      for (path, slot) in places where paths.contains(path) { deltas.append((path, slot, try make(path, slot.value))) }
      var rows: [(path: String, table: Embedding, delta: LoRAEmbeddingDelta)] = []
      for (path, table) in embeddings where paths.contains(path) {
        if let delta = try tables?(path, table) { rows.append((path, table, delta)) }
      }
      let bases = try baseWeights(rows.map { ($0.path, $0.table) }, deltas.map { ($0.path, $0.slot.value) })
      let companion = try companion(deltas.map { ($0.path, $0.delta) })
      // Nothing below can fail.
      let tables = rows.map { EmbeddingPart($0.delta, named: name, at: $0.path, in: $0.table) as any AdapterPart }
      let parts = deltas.map { path, slot, delta in
        delta.train(model.isTraining)
        return ProjectionPart(delta, named: name, at: path, in: slot) as any AdapterPart
      }
      return Adapter(
        name: name, configuration: self, parts: tables + parts + bases + others + [overlay], companion: companion)
    } catch {
      others.forEach { $0.remove() }
      throw error
    }
  }

  /// What PEFT saves along with adapters of the token table and of the head.
  private func baseWeights(
    _ tables: [(path: String, table: Embedding)], _ projections: [(path: String, projection: any Projection)]
  ) throws(TorchError) -> [any AdapterPart] {
    var found = tables.map { BaseWeight($0.path, $0.table.weight) }
    for (path, projection) in projections where path == "lm_head" {
      found.append(BaseWeight(path, try projection.denseWeight()))
    }
    return found
  }

  /// Where it works.
  var resolver: TargetResolver {
    TargetResolver(targets, excluded: excluded, layers: layers, layersPattern: layersPattern)
  }
}
