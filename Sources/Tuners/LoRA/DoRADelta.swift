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

  /// A delta that changes nothing yet.
  init(_ low: LoRADelta, for base: any Projection) throws(TorchError) {
    super.init()
    self.low = low
    magnitude = try low.changedWeight(of: base).norm(1).detached().clone()
  }

  /// m/‖V‖ [out].
  private func factor(_ base: any Projection) throws(TorchError) -> Tensor {
    let norm = try withoutGradients { () throws(TorchError) in try low.changedWeight(of: base).norm(1) }
    return try magnitude / norm
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
