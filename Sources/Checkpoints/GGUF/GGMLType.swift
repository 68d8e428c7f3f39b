import CTorch
import Torch

/// The element types of GGUF files, by ggml's number. All are known by name and size; those that can be loaded have a ``loading``.
struct GGMLType: Sendable, Hashable {
  /// How a type's bytes become a tensor.
  enum Loading: Sendable, Hashable {
    /// The elements as they are.
    case stored(DType)
    /// Floating-point numbers that may also be converted on the way: the stored type, and the format to convert from.
    case floating(DType, ct_block_format)
    /// Blocks to expand.
    case quantized(ct_block_format)
  }

  /// The name, as ggml spells it.
  let name: String
  /// The elements of one block.
  let blockLength: Int
  /// The bytes of one block.
  let blockByteCount: Int
  /// How to load it; nil where that is not supported.
  let loading: Loading?

  /// The type with this number; nil where ggml has none.
  init?(code: UInt32) {
    guard let type = GGMLType.table[code] else { return nil }
    self = type
  }

  /// The element type of a tensor loaded without conversion; nil where it cannot be loaded.
  var dtype: DType? {
    switch loading {
    case .stored(let dtype), .floating(let dtype, _): dtype
    case .quantized: .float32
    case nil: nil
    }
  }

  /// The names of the types that can be loaded, for messages.
  static var loadable: String { table.values.filter { $0.loading != nil }.map(\.name).sorted().joined(separator: ", ") }

  private init(_ name: String, _ blockLength: Int, _ blockByteCount: Int, _ loading: Loading? = nil) {
    self.name = name
    self.blockLength = blockLength
    self.blockByteCount = blockByteCount
    self.loading = loading
  }

  private init(_ name: String, _ format: ct_block_format) {
    self.init(name, Int(ct_block_length(format)), Int(ct_block_bytes(format)), .quantized(format))
  }

  private static let table: [UInt32: GGMLType] = [
    0: GGMLType("F32", 1, 4, .floating(.float32, CT_BLOCK_F32)),
    1: GGMLType("F16", 1, 2, .floating(.float16, CT_BLOCK_F16)),
    2: GGMLType("Q4_0", CT_BLOCK_Q4_0),
    3: GGMLType("Q4_1", CT_BLOCK_Q4_1),
    6: GGMLType("Q5_0", CT_BLOCK_Q5_0),
    7: GGMLType("Q5_1", CT_BLOCK_Q5_1),
    8: GGMLType("Q8_0", CT_BLOCK_Q8_0),
    9: GGMLType("Q8_1", 32, 36),
    10: GGMLType("Q2_K", 256, 84),
    11: GGMLType("Q3_K", 256, 110),
    12: GGMLType("Q4_K", CT_BLOCK_Q4_K),
    13: GGMLType("Q5_K", CT_BLOCK_Q5_K),
    14: GGMLType("Q6_K", CT_BLOCK_Q6_K),
    15: GGMLType("Q8_K", 256, 292),
    16: GGMLType("IQ2_XXS", 256, 66),
    17: GGMLType("IQ2_XS", 256, 74),
    18: GGMLType("IQ3_XXS", 256, 98),
    19: GGMLType("IQ1_S", 256, 50),
    20: GGMLType("IQ4_NL", 32, 18),
    21: GGMLType("IQ3_S", 256, 110),
    22: GGMLType("IQ2_S", 256, 82),
    23: GGMLType("IQ4_XS", 256, 136),
    24: GGMLType("I8", 1, 1, .stored(.int8)),
    25: GGMLType("I16", 1, 2, .stored(.int16)),
    26: GGMLType("I32", 1, 4, .stored(.int32)),
    27: GGMLType("I64", 1, 8, .stored(.int64)),
    28: GGMLType("F64", 1, 8, .stored(.float64)),
    29: GGMLType("IQ1_M", 256, 56),
    30: GGMLType("BF16", 1, 2, .floating(.bfloat16, CT_BLOCK_BF16)),
    34: GGMLType("TQ1_0", 256, 54),
    35: GGMLType("TQ2_0", 256, 66),
    39: GGMLType("MXFP4", 32, 17),
    40: GGMLType("NVFP4", 64, 36),
    41: GGMLType("Q1_0", 128, 18),
  ]
}
