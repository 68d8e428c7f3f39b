import Torch

/// A table of vectors, one row for each token or position.
public final class Embedding: Module {
  /// [V, d].
  @Param("weight") public var weight: Tensor

  /// The element type of its rows as the model computes with them; nil for the table's own.
  public var outputDType: DType?

  /// A table whose numbers are yet to be loaded.
  public init(_ count: Int, _ size: Int) throws(TorchError) {
    super.init()
    weight = try .empty([count, size])
  }

  /// indices [..] int64 → [.., d].
  public func forward(_ indices: Tensor) throws(TorchError) -> Tensor {
    let rows = try weight.embedding(indices)
    return try rows.to(outputDType ?? rows.dtype)
  }
}
