import Torch

/// A table of vectors, one row for each token or position.
public final class Embedding: Module {
  /// [V, d].
  @Param("weight") public var weight: Tensor

  /// A table whose numbers are yet to be loaded.
  public init(_ count: Int, _ size: Int) throws(TorchError) {
    super.init()
    weight = try .empty([count, size])
  }

  /// indices [..] int64 → [.., d].
  public func forward(_ indices: Tensor) throws(TorchError) -> Tensor { try weight.embedding(indices) }
}
