import Torch

/// What a method changes in the rows that a table gives.
public protocol EmbeddingDelta: Module {
  /// The changed rows [.., d] of the tokens [..] int64, of which `rows` [.., d] are those without it.
  func forward(_ indices: Tensor, rows: Tensor) throws(TorchError) -> Tensor
  /// A table [V, d] of its own, in float32, that gives the changed rows; `table` stays as it is.
  func merged(into table: Tensor) throws(TorchError) -> Tensor
}

/// A table of vectors, one row for each token or position.
public final class Embedding: Module {
  /// [V, d].
  @Param("weight") public var weight: Tensor
  /// What adapters change, by their names, in order of installation.
  @NamedChildren("adapters", asModule: { $0 }) public var deltas: [(name: String, module: any EmbeddingDelta)]
  /// The adapters that take part, in this order.
  public var active: [String] = []

  /// The element type of its rows as the model computes with them; nil for the table's own.
  public var outputDType: DType?

  /// A table whose numbers are yet to be loaded.
  public init(_ count: Int, _ size: Int) throws(TorchError) {
    super.init()
    weight = try .empty([count, size])
  }

  /// The changes of the adapters that take part, in their order.
  public var activeDeltas: [any EmbeddingDelta] {
    active.compactMap { name in deltas.first { $0.name == name }?.module }
  }

  /// A table of its own that gives the rows this one gives with the active changes, in the element type of this one.
  public func mergedTable() throws(TorchError) -> Tensor {
    var table = try weight.detached().to(.float32)
    for delta in activeDeltas { table = try delta.merged(into: table) }
    return try table.detached().to(weight.dtype)
  }

  /// indices [..] int64 → [.., d].
  public func forward(_ indices: Tensor) throws(TorchError) -> Tensor {
    var rows = try weight.embedding(indices)
    rows = try rows.to(outputDType ?? rows.dtype)
    for delta in activeDeltas { rows = try delta.forward(indices, rows: rows) }
    return rows
  }
}
