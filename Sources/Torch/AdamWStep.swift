import CTorch

/// One step of AdamW in place, for all parameters at once. Loshchilov & Hutter, arXiv:1711.05101.
///
/// With g' = gradientScale·g and lr the parameter's own rate: m = β₁·m + (1 − β₁)·g', v = β₂·v + (1 − β₂)·g'²,
/// p = p·(1 − lr·λ) − lr/(1 − β₁ᵗ)·m / (√v/√(1 − β₂ᵗ) + ε).
public struct AdamWStep {
  /// A float32 parameter, its gradient, and the running means of the gradient and its square, all of one shape; its learning rate.
  public typealias Entry = (parameter: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, learningRate: Double)

  private let settings: ct_adamw_settings

  /// A step by its settings.
  ///
  /// - Parameters:
  ///   - beta1: β₁.
  ///   - beta2: β₂.
  ///   - eps: ε.
  ///   - weightDecay: λ.
  ///   - gradientScale: what gradients are multiplied by first.
  ///   - step: t, from 1.
  public init(beta1: Double, beta2: Double, eps: Double, weightDecay: Double, gradientScale: Double, step: Int) {
    settings = ct_adamw_settings(
      beta1: beta1, beta2: beta2, eps: eps, weight_decay: weightDecay, gradient_scale: gradientScale, step: Int64(step))
  }

  /// Moves the parameters.
  public func take(_ entries: [Entry]) throws(TorchError) {
    let raws = entries.map {
      ct_adamw_parameter(
        parameter: $0.parameter.raw, gradient: $0.gradient.raw, mean: $0.mean.raw, square: $0.square.raw,
        learning_rate: $0.learningRate)
    }
    let status = withExtendedLifetime(entries) {
      withUnsafePointer(to: settings) { ct_adamw(raws, Int64(raws.count), $0) }
    }
    guard status == CT_OK else {
      throw TorchError(status, operation: "adamw", operands: entries.flatMap { [$0.parameter, $0.gradient, $0.mean, $0.square] })
    }
  }
}

extension Tensor {
  /// √Σ x² over all elements of `tensors`.
  public static func norm(of tensors: [Tensor]) throws(TorchError) -> Double {
    var norm = 0.0
    let raws = tensors.map(\.raw)
    let status = withExtendedLifetime(tensors) { ct_norm_of_all(raws, Int64(raws.count), &norm) }
    guard status == CT_OK else { throw TorchError(status, operation: "norm", operands: tensors) }
    return norm
  }
}
