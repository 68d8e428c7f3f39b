import CTorch

/// A frozen weight [out, in] in few bits, which products take as it is: they expand a part of it at a time.
public struct PackedWeight {
  /// How numbers are stored.
  public enum Format: Sendable, Hashable {
    /// 4 bits: quantiles of a normal distribution times the largest magnitude of a block. Dettmers et al., arXiv:2305.14314.
    case nf4
    /// 4 bits: sign, exponent of two bits and mantissa of one, times the largest magnitude of a block.
    case fp4
    /// 8 bits: round(127·w / s) with s the largest magnitude of the row. Dettmers et al., arXiv:2208.07339.
    case int8
    /// The blocks of a GGUF file as they lie there.
    case blocks(BlockFormat)
  }

  /// The formats of quantized blocks in GGUF files, as ggml names them.
  public enum BlockFormat: String, Sendable, Hashable, CaseIterable {
    case q40 = "Q4_0"
    case q41 = "Q4_1"
    case q50 = "Q5_0"
    case q51 = "Q5_1"
    case q80 = "Q8_0"
    case q4K = "Q4_K"
    case q5K = "Q5_K"
    case q6K = "Q6_K"
  }

  /// Scales of 4-bit blocks that are in 8 bits themselves: scale b is map[scales[b]]·outerScales[b / 256] + offset.
  public struct NestedScales {
    /// One for 256 scales, float32.
    public var outerScales: Tensor
    /// 256 values, float32.
    public var map: Tensor
    /// The mean of the scales.
    public var offset: Float

    /// The parts by name.
    public init(outerScales: Tensor, map: Tensor, offset: Float) {
      (self.outerScales, self.map, self.offset) = (outerScales, map, offset)
    }
  }

  /// How the numbers are stored.
  public var format: Format
  /// [out, in].
  public var shape: [Int]
  /// uint8: two numbers of 4 bits a byte, the first in the high half, or blocks row after row; int8 [out, in] for 8 bits.
  public var numbers: Tensor
  /// The largest magnitudes: of each block of 4-bit numbers (float32, or uint8 where they are nested), of each row of 8-bit ones.
  public var scales: Tensor?
  /// Where 4-bit scales are in 8 bits.
  public var nested: NestedScales?
  /// Numbers of 4 bits that share a scale, counted through all rows.
  public var blockSize: Int
  /// What expanded numbers are rounded to before anything is computed with them: float32, bfloat16 or float16.
  public var dtype: DType

  /// A weight of given parts; an operation on it throws where they do not fit each other.
  public init(
    _ format: Format, shape: [Int], numbers: Tensor, scales: Tensor? = nil, nested: NestedScales? = nil, blockSize: Int = 64,
    dtype: DType
  ) {
    (self.format, self.shape, self.numbers, self.scales) = (format, shape, numbers, scales)
    (self.nested, self.blockSize, self.dtype) = (nested, blockSize, dtype)
  }

  /// Packs a weight [out, in] on the CPU in 4 or 8 bits, to the same bytes as bitsandbytes 0.50 on a CPU.
  ///
  /// - Parameters:
  ///   - weight: floating-point numbers; in 8 bits they are rounded to float16 first.
  ///   - format: any but ``Format/blocks(_:)``.
  ///   - doubleQuant: whether the scales of 4 bits are put into 8 bits, less their mean. What that mean is in its last bit depends on
  ///     the number of threads where there are over 32,000 of them.
  ///   - blockSize: numbers of 4 bits that share a scale: 32, 64, 128 … 4096.
  ///   - dtype: what expanded numbers are rounded to; nil for the weight's own type.
  /// - Throws: ``TorchError`` for a weight that is no matrix on the CPU, or holds a number that is not finite.
  public init(
    packing weight: Tensor, as format: Format, doubleQuant: Bool = true, blockSize: Int = 64, dtype: DType? = nil
  ) throws(TorchError) {
    var out = ct_packed_weight()
    try Tensor.run("pack", weight) { ct_pack(weight.raw, format.raw.packing, Int64(blockSize), doubleQuant, &out) }
    self.init(
      format, shape: weight.shape, numbers: Tensor(owning: out.numbers), scales: Tensor(owning: out.scales),
      blockSize: blockSize, dtype: dtype ?? weight.dtype)
    if out.map.ctx != nil {
      nested = NestedScales(
        outerScales: Tensor(owning: out.outer_scales), map: Tensor(owning: out.map), offset: out.offset)
    }
  }

  /// The weight [out, in], or some of its rows, in a floating-point type.
  ///
  /// - Parameters:
  ///   - dtype: float32, bfloat16 or float16; nil for ``dtype``.
  ///   - rows: nil for all.
  /// - Throws: ``TorchError`` where the parts do not fit each other.
  public func expanded(as dtype: DType? = nil, rows: Range<Int>? = nil) throws(TorchError) -> Tensor {
    let rows = rows ?? 0..<(shape.first ?? 0)
    var given = raw
    return try Tensor.make("expand_packed", list: operands) {
      ct_expand_packed(&given, Int64(rows.lowerBound), Int64(rows.count), (dtype ?? self.dtype).raw, $0)
    }
  }

  /// Bytes that all parts take.
  public var byteCount: Int { operands.reduce(0) { $0 + $1.count * $1.dtype.byteSize } }

  /// The tensors it is made of.
  var operands: [Tensor] { [numbers, scales, nested?.outerScales, nested?.map].compactMap(\.self) }

  /// The parts as the shim takes them, for the length of a call with ``operands`` alive.
  var raw: ct_packed_weight {
    let (packing, block) = format.raw
    return ct_packed_weight(
      packing: packing, format: block, out: Int64(shape.first ?? 0), in: Int64(shape.last ?? 0), numbers: numbers.raw,
      scales: scales?.raw ?? ct_tensor(), outer_scales: nested?.outerScales.raw ?? ct_tensor(),
      map: nested?.map.raw ?? ct_tensor(), offset: nested?.offset ?? 0, block: Int64(blockSize), dtype: dtype.raw)
  }
}

extension PackedWeight.Format {
  /// What the 16 patterns of bits of a 4-bit format stand for.
  ///
  /// - Throws: ``TorchError`` for a format that has no such table.
  public func values() throws(TorchError) -> [Float] {
    guard self == .nf4 || self == .fp4 else {
      throw TorchError(operation: "values", message: "only formats of 4 bits have a table of values")
    }
    let patterns: [UInt8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF]
    let packed = PackedWeight(
      self, shape: [1, 16], numbers: try Tensor(patterns), scales: try Tensor([Float(1)]), dtype: .float32)
    return try packed.expanded().array(Float.self)
  }

  fileprivate var raw: (packing: ct_packing, block: ct_block_format) {
    switch self {
    case .nf4: (CT_PACKED_NF4, CT_BLOCK_F32)
    case .fp4: (CT_PACKED_FP4, CT_BLOCK_F32)
    case .int8: (CT_PACKED_INT8, CT_BLOCK_F32)
    case .blocks(let format): (CT_PACKED_BLOCKS, format.raw)
    }
  }
}

extension PackedWeight.BlockFormat {
  var raw: ct_block_format {
    switch self {
    case .q40: CT_BLOCK_Q4_0
    case .q41: CT_BLOCK_Q4_1
    case .q50: CT_BLOCK_Q5_0
    case .q51: CT_BLOCK_Q5_1
    case .q80: CT_BLOCK_Q8_0
    case .q4K: CT_BLOCK_Q4_K
    case .q5K: CT_BLOCK_Q5_K
    case .q6K: CT_BLOCK_Q6_K
    }
  }
}
