import Torch

/// Root-mean-square normalisation with a gain. Zhang & Sennrich, arXiv:1910.07467.
public final class RMSNorm: Module {
  /// The gain [d].
  @Param public var weight: Tensor
  private let eps: Double

  /// A norm over `size` features whose gain is yet to be loaded.
  public init(_ size: Int, eps: Double) throws(TorchError) {
    _weight = Param(wrappedValue: try .empty([size]), "weight")
    self.eps = eps
  }

  /// x [.., d] → [.., d].
  public func forward(_ x: Tensor) throws(TorchError) -> Tensor { try x.rmsNorm(weight, eps: eps) }
}

/// Layer normalisation with gain and bias. Ba et al., arXiv:1607.06450.
public final class LayerNorm: Module {
  /// The gain [d].
  @Param public var weight: Tensor
  /// The bias [d].
  @Param public var bias: Tensor
  private let eps: Double

  /// A norm over `size` features whose numbers are yet to be loaded.
  public init(_ size: Int, eps: Double) throws(TorchError) {
    _weight = Param(wrappedValue: try .empty([size]), "weight")
    _bias = Param(wrappedValue: try .empty([size]), "bias")
    self.eps = eps
  }

  /// x [.., d] → [.., d].
  public func forward(_ x: Tensor) throws(TorchError) -> Tensor { try x.layerNorm(weight, bias, eps: eps) }
}
