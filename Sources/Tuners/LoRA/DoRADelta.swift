import NN
import Torch

/// Weight-decomposed low-rank adaptation of one projection: y = m/‖V‖ ∘ (V·x) + b, V = W + s·B·A, rows apart. Liu et al.,
/// arXiv:2402.09353.
///
/// m [out] starts as ‖V‖, so that nothing changes; the norm is taken for a constant in the backward pass, as the paper does in 4.3.
public final class DoRADelta: Module, AdapterDelta {
  /// A and B.
  @Child("lora") var low: LoRADelta
  /// m [out].
  @Param("lora_magnitude_vector") public var magnitude: Tensor
  /// The frozen projection whose rows were measured last, and ‖W‖² of them [out].
  private var measured: (base: any Projection, squares: Tensor)?

  /// A delta that changes nothing yet.
  init(_ low: LoRADelta, for base: any Projection) throws(TorchError) {
    super.init()
    self.low = low
    magnitude = try norm(base)
  }

  /// m/‖V‖ [out].
  private func factor(_ base: any Projection) throws(TorchError) -> Tensor { try magnitude / norm(base) }

  /// ‖V‖ [out], a constant.
  ///
  /// Of a frozen W, whose ‖W‖² stays, ‖V‖² = ‖W‖² + 2s·Σ (W·Aᵀ) ∘ B + s²·Σ (B·A·Aᵀ) ∘ B, sums along rows: W is read once, and
  /// neither copied nor changed.
  private func norm(_ base: any Projection) throws(TorchError) -> Tensor {
    try withoutGradients { () throws(TorchError) in
      let update = try low.update()
      guard var weight = try base.linearWeight(for: .float32), weight.update == nil else {
        return try low.changedWeight(of: base).norm(1)
      }
      weight.bias = nil
      let cross = try update.a.linears([weight])[0].transposed() * update.b
      let own = try update.b.matmul(try update.a.matmul(try update.a.transposed())) * update.b
      let change = try cross.sum(1) * (2 * update.scale) + own.sum(1) * (update.scale * update.scale)
      return try (try squares(base) + change).relu().sqrt()
    }
  }

  private func squares(_ base: any Projection) throws(TorchError) -> Tensor {
    if let measured, measured.base === base { return measured.squares }
    let norm = try base.denseWeight().detached().to(.float32).norm(1).to(low.a.device)
    let squares = try norm * norm
    measured = (base, squares)
    return squares
  }

  /// The base's output with its rows scaled. With dropout W·x is of all inputs, and the rest of those that are left.
  public func forward(_ x: Tensor, through base: any Projection) throws(TorchError) -> Tensor {
    var update = try low.update()
    let factor = try factor(base)
    guard update.dropout > 0 else { return try scaled(try base.forward(x, plus: update), by: factor, base.denseBias) }
    let kept = try x.dropout(update.dropout)
    update.dropout = 0
    let changed = try scaled(try base.forward(kept, plus: update), by: factor, base.denseBias)
    return try base.forward(x) + changed - base.forward(kept)
  }

  /// (y − b)·factor + b, in float32, in the element type of y.
  private func scaled(_ y: Tensor, by factor: Tensor, _ bias: Tensor?) throws(TorchError) -> Tensor {
    guard let bias else { return try (y * factor).to(y.dtype) }
    return try ((y - bias) * factor + bias).to(y.dtype)
  }

  /// m/‖V‖ ∘ V, in float32 before it is rounded.
  public func merged(into base: any Projection) throws(TorchError) -> any Projection {
    let dtype = try base.denseWeight().dtype
    let weight = try low.changedWeight(of: base) * factor(base).unsqueezed(1)
    return try base.replacing(weight: try weight.detached().to(dtype), bias: try base.denseBias?.detached().to(dtype))
  }

  /// A, B and m.
  public var trained: [(name: String, slot: ParameterSlot)] { low.trained + [("lora_magnitude_vector", $magnitude)] }

  /// A, B and m under PEFT's names.
  public var saved: [SavedTensor] { low.saved + [SavedTensor("lora_magnitude_vector", magnitude)] }
}
