import Torch

/// Root-mean-square normalisation with a gain. Zhang & Sennrich, arXiv:1910.07467.
public final class RMSNorm: Module {
  /// The gain [d].
  @Param("weight") public var weight: Tensor
  private let eps: Double

  /// A norm over `size` features whose gain is yet to be loaded.
  public init(_ size: Int, eps: Double) throws(TorchError) {
    self.eps = eps
    super.init()
    weight = try .empty([size])
  }

  /// x [.., d] → [.., d].
  public func forward(_ x: Tensor) throws(TorchError) -> Tensor { try x.rmsNorm(try weight.to(x.dtype), eps: eps) }
}

/// Layer normalisation with gain and bias. Ba et al., arXiv:1607.06450.
public final class LayerNorm: Module {
  /// The gain [d].
  @Param("weight") public var weight: Tensor
  /// The bias [d].
  @Param("bias") public var bias: Tensor
  private let eps: Double

  /// A norm over `size` features whose numbers are yet to be loaded.
  public init(_ size: Int, eps: Double) throws(TorchError) {
    self.eps = eps
    super.init()
    weight = try .empty([size])
    bias = try .empty([size])
  }

  /// x [.., d] → [.., d].
  public func forward(_ x: Tensor) throws(TorchError) -> Tensor {
    let dtype = x.dtype
    return try x.layerNorm(try weight.to(dtype), try bias.to(dtype), eps: eps)
  }
}
