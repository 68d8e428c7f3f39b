import Torch

/// The element types of the safetensors format. Those without a ``dtype`` can be listed but not loaded.
enum SafetensorsType: String, CaseIterable {
  // In the order in which the reference library lays tensors out in a file: descending alignment first.
  case u64 = "U64"
  case i64 = "I64"
  case f64 = "F64"
  case c64 = "C64"
  case f32 = "F32"
  case u32 = "U32"
  case i32 = "I32"
  case bf16 = "BF16"
  case f16 = "F16"
  case u16 = "U16"
  case i16 = "I16"
  case f8e8m0 = "F8_E8M0"
  case f8e4m3 = "F8_E4M3"
  case f8e5m2 = "F8_E5M2"
  case i8 = "I8"
  case u8 = "U8"
  case bool = "BOOL"

  /// The type in which a tensor of `dtype` is written.
  init(_ dtype: DType) {
    switch dtype {
    case .float32: self = .f32
    case .float16: self = .f16
    case .bfloat16: self = .bf16
    case .float64: self = .f64
    case .int8: self = .i8
    case .uint8: self = .u8
    case .int16: self = .i16
    case .int32: self = .i32
    case .int64: self = .i64
    case .bool: self = .bool
    }
  }

  /// The type of a tensor that holds these elements; nil where there is none.
  var dtype: DType? {
    switch self {
    case .f32: .float32
    case .f16: .float16
    case .bf16: .bfloat16
    case .f64: .float64
    case .i8: .int8
    case .u8: .uint8
    case .i16: .int16
    case .i32: .int32
    case .i64: .int64
    case .bool: .bool
    case .u64, .c64, .u32, .u16, .f8e8m0, .f8e4m3, .f8e5m2: nil
    }
  }

  /// The bytes of one element.
  var byteSize: Int {
    switch self {
    case .u64, .i64, .f64, .c64: 8
    case .f32, .u32, .i32: 4
    case .bf16, .f16, .u16, .i16: 2
    case .f8e8m0, .f8e4m3, .f8e5m2, .i8, .u8, .bool: 1
    }
  }

  /// The place in a file's layout: tensors of a lower rank come first.
  static let layoutRank: [SafetensorsType: Int] = Dictionary(
    uniqueKeysWithValues: allCases.enumerated().map { ($0.element, $0.offset) })
}
