import Torch

/// What a decoder keeps of its layers for the backward pass, and what it computes again there. Chen et al., arXiv:1604.06174.
public struct GradientCheckpointing: Sendable, Hashable {
  /// What is computed again of a layer.
  public enum Part: String, Sendable, Hashable, CaseIterable {
    /// Everything is kept.
    case none
    /// The feed-forward part is computed again, whose activations are the widest.
    case selective
    /// The whole layer is computed again: only what enters it is kept.
    case full
  }

  /// What is computed again of a layer.
  public var part: Part
  /// Of how many layers one computes it again, beginning with the first; the others keep everything.
  public var every: Int

  /// Every layer, or one of `every`, computes `part` again.
  public init(_ part: Part, every: Int = 1) { (self.part, self.every) = (part, max(1, every)) }

  /// What layer `index` computes again.
  public func of(layer index: Int) -> Part { index % every == 0 ? part : .none }

  /// Everything is kept.
  public static let none = GradientCheckpointing(.none)
  /// The feed-forward parts are computed again.
  public static let selective = GradientCheckpointing(.selective)
  /// Whole layers are computed again.
  public static let full = GradientCheckpointing(.full)
}

extension ResidualStream {
  /// Runs a layer over the stream as ``run(recomputed:_:_:)`` does, with the keys and values before its rows among what is kept.
  ///
  /// - Parameters:
  ///   - recomputed: whether activations are made again.
  ///   - module: the layer.
  ///   - plan: its attention.
  ///   - part: leaves a stream with something pending; it takes the plan it is given.
  public mutating func run(
    recomputed: Bool, _ module: Module, _ plan: AttentionPlan,
    _ part: @escaping (inout ResidualStream, AttentionPlan) throws(TorchError) -> Void
  ) throws(TorchError) {
    let prefixes = plan.prefixes
    try run(recomputed: recomputed, module, with: prefixes?.tensors ?? []) { (stream, tensors) throws(TorchError) in
      try part(&stream, plan.with(prefixes?.replacing(tensors)))
    }
  }

  /// Runs a part of a decoder over the stream, which keeps none of its activations where it is `recomputed`: the backward pass then
  /// runs it again, with the same dropout. A part nothing below which or in which learns is simply run.
  ///
  /// - Parameters:
  ///   - recomputed: whether activations are made again.
  ///   - module: what holds the part's parameters.
  ///   - part: leaves a stream with something pending.
  public mutating func run(
    recomputed: Bool, _ module: Module, _ part: @escaping (inout ResidualStream) throws(TorchError) -> Void
  ) throws(TorchError) {
    try run(recomputed: recomputed, module, with: []) { (stream, _) throws(TorchError) in try part(&stream) }
  }

  /// The same for a part that takes further tensors, which may have been computed from what is learnt.
  private mutating func run(
    recomputed: Bool, _ module: Module, with extras: [Tensor],
    _ part: @escaping (inout ResidualStream, [Tensor]) throws(TorchError) -> Void
  ) throws(TorchError) {
    let own = [sum] + (pending.map { [$0] } ?? [])
    let inputs = own + extras
    func learns() -> Bool {
      inputs.contains { $0.requiresGradient } || module.parameters().contains { $0.value.requiresGradient }
    }
    guard recomputed, learns() else { return try part(&self, extras) }
    let ownCount = own.count
    let outs = try checkpointed(inputs, outputs: 2) { (inputs) throws(TorchError) in
      var stream = ResidualStream(inputs[0])
      stream.pending = ownCount > 1 ? inputs[1] : nil
      try part(&stream, Array(inputs.dropFirst(ownCount)))
      guard let pending = stream.pending else {
        throw TorchError(operation: "checkpoint", message: "the part left nothing to add to the stream")
      }
      return [stream.sum, pending]
    }
    (sum, pending) = (outs[0], outs[1])
  }
}
