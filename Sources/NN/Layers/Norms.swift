import Torch

/// The running sum of a decoder's layers. What the last part gave is added by the norm before the next one, in the norm's own
/// pass over memory.
public struct ResidualStream {
  /// The sum as far as it is made.
  public var sum: Tensor
  /// What is yet to be added.
  public var pending: Tensor?

  /// A stream that begins with `sum`.
  public init(_ sum: Tensor) { self.sum = sum }
}

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

  /// The norm of the stream with what was pending added to it.
  public func forward(_ stream: inout ResidualStream) throws(TorchError) -> Tensor {
    guard let pending = stream.pending else { return try forward(stream.sum) }
    let (sum, normed) = try stream.sum.addAndNorm(pending, weight: try weight.to(stream.sum.dtype), eps: eps)
    (stream.sum, stream.pending) = (sum, nil)
    return normed
  }
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

  /// The norm of the stream with what was pending added to it.
  public func forward(_ stream: inout ResidualStream) throws(TorchError) -> Tensor {
    guard let pending = stream.pending else { return try forward(stream.sum) }
    let dtype = stream.sum.dtype
    let (sum, normed) = try stream.sum.addAndNorm(
      pending, weight: try weight.to(dtype), bias: try bias.to(dtype), eps: eps)
    (stream.sum, stream.pending) = (sum, nil)
    return normed
  }
}
