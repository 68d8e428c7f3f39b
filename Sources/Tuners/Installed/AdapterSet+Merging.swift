import NN
import Torch

/// What stands in a model before adapters are merged. It holds on to tensors and copies none.
struct UnmergedModel {
  private let projections: [(slot: ProjectionSlot, value: any Projection)]
  private let parameters: [(slot: ParameterSlot, value: Tensor)]
  private let embeddings: [(embedding: Embedding, deltas: [(name: String, module: any EmbeddingDelta)], active: [String])]
  private let trainable: [Tensor]

  init(_ model: any CausalLM) {
    projections = model.projections().map { ($0.slot, $0.slot.value) }
    parameters = model.parameters().map { ($0.slot, $0.value) }
    embeddings = model.embeddings().map { ($1, $1.deltas, $1.active) }
    trainable = model.trainableParameters().map(\.value)
  }

  /// Puts all of it back.
  func restore() throws(TorchError) {
    for (slot, value) in projections { slot.value = value }
    for (embedding, deltas, active) in embeddings { (embedding.deltas, embedding.active) = (deltas, active) }
    for (slot, value) in parameters { slot.value = value }
    for value in trainable { try value.setRequiresGradient(true) }
  }
}

extension AdapterSet {
  /// Whether adapters are merged, until ``unmerge()``.
  public var isMerged: Bool { unmerged != nil }

  /// Puts weights of their own with the adapters at work folded in where the base's were: faster, and undone by ``unmerge()``.
  ///
  /// Each changed projection is a new one: the base's tensors stay as they are, so that what comes back is the same to the bit.
  /// While it lasts adapters can be neither added nor switched.
  ///
  /// - Throws: ``TunerError`` where an adapter does what no weights can, or a merged weight holds a number that is not finite; the
  ///   model is as before then.
  public func merge() throws {
    try merge { slot in try (slot.value as? AdaptedProjection)?.merged() }
  }

  /// The same with weights that are made anew each time they are needed, in numbers of an element type; quantized projections become
  /// such, too, whether an adapter changes them or not. See ``MergedProjection``.
  ///
  /// - Throws: what ``merge()`` throws.
  public func mergeOnDemand(as dtype: DType) throws {
    try merge { slot in
      switch slot.value {
      case let adapted as AdaptedProjection: try adapted.mergedOnDemand(as: dtype)
      case let quantized as QuantizedLinear: try MergedProjection(quantized, [], as: dtype)
      default: nil
      }
    }
  }

  /// Merges with what `merged` makes of a place; nil leaves it as it is.
  private func merge(_ merged: (ProjectionSlot) throws -> (any Projection)?) throws {
    try refuseWhileMerged()
    let before = UnmergedModel(model)
    var commits: [() -> Void] = []
    for (path, slot) in model.projections() where !path.hasSuffix(".base_layer") {
      guard let result = try merged(slot) else { continue }
      if let adapted = slot.value as? AdaptedProjection, !adapted.active.isEmpty { try refuseNaN(result, at: path) }
      commits.append { slot.value = result }
    }
    for part in active.compactMap({ self[$0] }).flatMap(\.parts) { commits.append(try part.merge()) }
    for (path, embedding) in model.embeddings() where !embedding.deltas.isEmpty {
      let table = try embedding.mergedTable()
      guard try table.isFinite().all() else { throw notFinite(path) }
      commits.append {
        embedding.weight = table
        (embedding.deltas, embedding.active) = ([], [])
      }
    }
    commits.forEach { $0() }
    for parameter in model.parameters() { try parameter.value.setRequiresGradient(false) }
    unmerged = before
  }

  /// Brings back what stood in the model before ``merge()``: the base's own tensors, with the adapters over them.
  public func unmerge() throws(TorchError) {
    try unmerged?.restore()
    unmerged = nil
  }

  /// Folds the adapters at work into the model's own weights and takes all adapters out.
  ///
  /// - Throws: what ``merge()`` throws; the model is as before then.
  public func mergeAndUnload() throws {
    try merge()
    unmerged = nil
    adapters = []
    uses = []
  }

  /// Refuses to touch adapters that are part of the weights.
  func refuseWhileMerged() throws(TunerError) {
    guard isMerged else { return }
    throw TunerError("the adapters \(active.joined(separator: ", ")) are merged into the weights; call unmerge() first")
  }

  private func refuseNaN(_ projection: any Projection, at path: String) throws {
    let numbers = [try projection.denseWeight(), projection.denseBias].compactMap(\.self)
    for tensor in numbers where try !tensor.isFinite().all() { throw notFinite(path) }
  }

  private func notFinite(_ path: String) -> TunerError {
    TunerError(
      "“\(path)” holds numbers that are not finite once \(active.joined(separator: ", ")) is merged into it: the model or an adapter "
        + "is damaged; `attune adapters inspect` tells which adapter is")
  }
}
