import CTorch

extension Tensor {
  /// The same elements in another shape; one size may be −1 and follows from the rest.
  public func reshaped(_ shape: Int...) throws(TorchError) -> Tensor { try reshaped(shape) }

  /// The same elements in another shape; one size may be −1 and follows from the rest.
  public func reshaped(_ shape: [Int]) throws(TorchError) -> Tensor {
    try Tensor.make("reshape", self) { ct_reshape(raw, shape.int64, Int64(shape.count), $0) }
  }

  /// A view in which dimensions of size 1 repeat without memory.
  public func expanded(_ shape: Int...) throws(TorchError) -> Tensor { try expanded(shape) }

  /// A view in which dimensions of size 1 repeat without memory.
  public func expanded(_ shape: [Int]) throws(TorchError) -> Tensor {
    try Tensor.make("expand", self) { ct_expand(raw, shape.int64, Int64(shape.count), $0) }
  }

  /// A view with the dimensions in another order.
  public func permuted(_ dims: Int...) throws(TorchError) -> Tensor {
    try Tensor.make("permute", self) { ct_permute(raw, dims.int64, Int64(dims.count), $0) }
  }

  /// A view with two dimensions exchanged; the last two where none are named.
  public func transposed(_ first: Int = -2, _ second: Int = -1) throws(TorchError) -> Tensor {
    try Tensor.make("transpose", self) { ct_transpose(raw, Int64(first), Int64(second), $0) }
  }

  /// A view with a dimension of size 1 put in at `dim`.
  public func unsqueezed(_ dim: Int) throws(TorchError) -> Tensor {
    try Tensor.make("unsqueeze", self) { ct_unsqueeze(raw, Int64(dim), $0) }
  }

  /// A view without dimension `dim` of size 1.
  public func squeezed(_ dim: Int) throws(TorchError) -> Tensor {
    try Tensor.make("squeeze", self) { ct_squeeze(raw, Int64(dim), $0) }
  }

  /// A view of the elements `range` of `dim`.
  public func narrowed(_ dim: Int, _ range: Range<Int>) throws(TorchError) -> Tensor {
    try Tensor.make("narrow", self) { ct_narrow(raw, Int64(dim), Int64(range.lowerBound), Int64(range.count), $0) }
  }

  /// Neighbouring parts of these lengths, which add up to the size of `dim`. They share their numbers with this tensor; their
  /// gradients are put side by side once.
  public func split(_ dim: Int, _ lengths: [Int]) throws(TorchError) -> [Tensor] {
    var outs = [ct_tensor](repeating: ct_tensor(), count: lengths.count)
    try Tensor.run("split", self) { ct_split(raw, lengths.int64, Int64(lengths.count), Int64(dim), &outs) }
    return outs.map(Tensor.init(owning:))
  }

  /// A view of one element of `dim`, which goes.
  public func selected(_ dim: Int, _ index: Int) throws(TorchError) -> Tensor {
    try Tensor.make("select", self) { ct_select(raw, Int64(dim), Int64(index), $0) }
  }

  /// The elements of `dim` at `indices` [n] (int64), copied.
  public func indexed(_ dim: Int, _ indices: Tensor) throws(TorchError) -> Tensor {
    try Tensor.make("index_select", self, indices) { ct_index_select(raw, Int64(dim), indices.raw, $0) }
  }

  /// For each place of `indices`, the element of `dim` it names.
  public func gathered(_ dim: Int, _ indices: Tensor) throws(TorchError) -> Tensor {
    try Tensor.make("gather", self, indices) { ct_gather(raw, Int64(dim), indices.raw, $0) }
  }

  /// A copy with `source` put at the places of `dim` that `indices` names.
  public func scattered(_ dim: Int, _ indices: Tensor, _ source: Tensor) throws(TorchError) -> Tensor {
    try Tensor.make("scatter", self, indices, source) { ct_scatter(raw, Int64(dim), indices.raw, source.raw, $0) }
  }

  /// Tensors one after the other along `dim`.
  public static func concatenated(_ parts: [Tensor], _ dim: Int) throws(TorchError) -> Tensor {
    try make("cat", list: parts) { ct_cat(parts.map(\.raw), Int64(parts.count), Int64(dim), $0) }
  }

  /// Tensors side by side along a new `dim`.
  public static func stacked(_ parts: [Tensor], _ dim: Int = 0) throws(TorchError) -> Tensor {
    try make("stack", list: parts) { ct_stack(parts.map(\.raw), Int64(parts.count), Int64(dim), $0) }
  }
}

// MARK: - In place

extension Tensor {
  /// Overwrites the elements with those of `source`, of the same shape, converted.
  public func copyInPlace(_ source: Tensor) throws(TorchError) {
    try Tensor.run("copy_", self, source) { ct_copy_into(raw, source.raw) }
  }

  /// Adds `scale` times `other`.
  public func addInPlace(_ other: Tensor, scale: Double = 1) throws(TorchError) {
    try Tensor.run("add_", self, other) { ct_add_into(raw, other.raw, scale) }
  }

  /// Multiplies each element by `scale`.
  public func scaleInPlace(_ scale: Double) throws(TorchError) {
    try Tensor.run("mul_", self) { ct_scale_into(raw, scale) }
  }

  /// Overwrites each element with `value`.
  public func fillInPlace(_ value: Double) throws(TorchError) {
    try Tensor.run("fill_", self) { ct_fill_into(raw, value) }
  }
}
