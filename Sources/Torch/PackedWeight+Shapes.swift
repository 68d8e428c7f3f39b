import CTorch

extension PackedWeight {
  /// Values that nested scales share a scale.
  private static let nestedBlock = 256

  /// A packed weight [out, in] without numbers, on ``Device/meta``: the parts that ``init(packing:as:doubleQuant:blockSize:dtype:)``
  /// makes, or a file's blocks, by their shapes.
  ///
  /// - Throws: `TorchError` where the rows are not whole blocks of the format.
  public init(shapeOnly shape: [Int], as format: Format, doubleQuant: Bool = true, blockSize: Int = 64, dtype: DType)
    throws(TorchError)
  {
    let count = shape.reduce(1, *)
    func part(_ count: Int, _ dtype: DType) throws(TorchError) -> Tensor { try .empty([count], dtype: dtype, device: .meta) }
    switch format {
    case .int8:
      let numbers = try Tensor.empty(shape, dtype: .int8, device: .meta)
      self.init(format, shape: shape, numbers: numbers, scales: try part(shape.first ?? 0, .float32), dtype: dtype)
    case .blocks(let blocks):
      let (length, bytes) = blocks.size
      guard (shape.last ?? 0).isMultiple(of: length) else {
        throw TorchError(operation: "packed_weight", message: "rows of \(shape) are no whole blocks of \(length) numbers")
      }
      self.init(format, shape: shape, numbers: try part(count / length * bytes, .uint8), dtype: dtype)
    case .nf4, .fp4:
      let scales = (count + blockSize - 1) / blockSize
      self.init(
        format, shape: shape, numbers: try part((count + 1) / 2, .uint8),
        scales: try part(scales, doubleQuant ? .uint8 : .float32),
        blockSize: blockSize, dtype: dtype)
      guard doubleQuant else { return }
      let outer = (scales + Self.nestedBlock - 1) / Self.nestedBlock
      nested = NestedScales(outerScales: try part(outer, .float32), map: try part(Self.nestedBlock, .float32), offset: 0)
    }
  }
}

extension PackedWeight.BlockFormat {
  /// Numbers in a block, and its bytes.
  fileprivate var size: (length: Int, bytes: Int) { (Int(ct_block_length(raw)), Int(ct_block_bytes(raw))) }
}
