import NN
import Torch

/// An adapter at work, and how strongly: the model's weights change by `weight` times its change.
public struct AdapterUse: Sendable, Hashable {
  /// The adapter's name.
  public var name: String
  /// How strongly, a finite number; 1 is as it was trained.
  public var weight: Double

  /// The use of an adapter.
  public init(_ name: String, weight: Double = 1) { (self.name, self.weight) = (name, weight) }
}

/// A delta at work on a projection, and how strongly: y = (1 − w)·base(x) + w·delta(x), and the same of the weights.
struct ActiveDelta {
  let delta: any AdapterDelta
  let weight: Double

  /// What it adds to the weight, where it is nothing but a low-rank update.
  func lowRankUpdate() throws(TorchError) -> LowRankUpdate? {
    guard var update = try delta.lowRankUpdate() else { return nil }
    update.scale *= weight
    return update
  }

  /// What the base's own product takes along.
  func fusedUpdate() throws(TorchError) -> LowRankUpdate? {
    try weight == 1 ? delta.fusedUpdate() : lowRankUpdate()
  }

  /// The changed projection's output. x [.., in] → [.., out].
  func forward(_ x: Tensor, through base: any Projection) throws(TorchError) -> Tensor {
    if weight == 1 { return try delta.forward(x, through: base) }
    if let update = try lowRankUpdate() { return try base.forward(x, plus: update) }
    let plain = try base.forward(x)
    return try plain + (delta.forward(x, through: base) - plain) * weight
  }

  /// A projection of its own that gives the same output; sums are float32.
  func merged(into base: any Projection) throws(TorchError) -> any Projection {
    if weight == 1 { return try delta.merged(into: base) }
    let before = try base.denseWeight()
    if let update = try lowRankUpdate() {
      let change = try update.b.matmul(update.a) * update.scale
      return try base.replacing(
        weight: try (try before.to(.float32) + change.to(before.device)).detached().to(before.dtype),
        bias: try base.denseBias?.detached().to(before.dtype))
    }
    let whole = try delta.merged(into: base)
    var bias = whole.denseBias
    if let changed = bias {
      let plain = if let plain = base.denseBias { plain } else { try Tensor.zeros(changed.shape, device: changed.device) }
      bias = try between(plain, changed)
    }
    return try base.replacing(weight: try between(before, whole.denseWeight()), bias: bias)
  }

  /// a + w·(b − a), in the type of b.
  private func between(_ a: Tensor, _ b: Tensor) throws(TorchError) -> Tensor {
    let first = try a.detached().to(.float32)
    return try (first + (b.detached().to(.float32) - first) * weight).to(b.dtype)
  }
}
