import CTorch

/// The element type of a tensor.
public enum DType: String, Sendable, Hashable, CaseIterable, Codable {
  case float32, float16, bfloat16, float64, int8, uint8, int16, int32, int64, bool

  /// Bytes an element takes.
  public var byteSize: Int {
    switch self {
    case .int8, .uint8, .bool: 1
    case .float16, .bfloat16, .int16: 2
    case .float32, .int32: 4
    case .float64, .int64: 8
    }
  }

  /// True for the types that hold fractions.
  public var isFloatingPoint: Bool {
    switch self {
    case .float32, .float16, .bfloat16, .float64: true
    default: false
    }
  }

  var raw: ct_dtype {
    switch self {
    case .float32: CT_FLOAT32
    case .float16: CT_FLOAT16
    case .bfloat16: CT_BFLOAT16
    case .float64: CT_FLOAT64
    case .int8: CT_INT8
    case .uint8: CT_UINT8
    case .int16: CT_INT16
    case .int32: CT_INT32
    case .int64: CT_INT64
    case .bool: CT_BOOL
    }
  }

  init?(raw: ct_dtype) {
    switch raw {
    case CT_FLOAT32: self = .float32
    case CT_FLOAT16: self = .float16
    case CT_BFLOAT16: self = .bfloat16
    case CT_FLOAT64: self = .float64
    case CT_INT8: self = .int8
    case CT_UINT8: self = .uint8
    case CT_INT16: self = .int16
    case CT_INT32: self = .int32
    case CT_INT64: self = .int64
    case CT_BOOL: self = .bool
    default: return nil
    }
  }
}

/// A Swift type that tensors can hold.
public protocol TensorElement: Sendable {
  /// The element type it is stored as.
  static var dtype: DType { get }
}

extension Float: TensorElement {
  /// `float32`.
  public static var dtype: DType { .float32 }
}
extension Double: TensorElement {
  /// `float64`.
  public static var dtype: DType { .float64 }
}
extension Int8: TensorElement {
  /// `int8`.
  public static var dtype: DType { .int8 }
}
extension UInt8: TensorElement {
  /// `uint8`.
  public static var dtype: DType { .uint8 }
}
extension Int16: TensorElement {
  /// `int16`.
  public static var dtype: DType { .int16 }
}
extension Int32: TensorElement {
  /// `int32`.
  public static var dtype: DType { .int32 }
}
extension Int64: TensorElement {
  /// `int64`.
  public static var dtype: DType { .int64 }
}
extension Bool: TensorElement {
  /// `bool`.
  public static var dtype: DType { .bool }
}
