/// A value of a GGUF file's metadata, in the type the file gives it.
public enum GGUFValue: Sendable, Hashable {
  case uint8(UInt8)
  case int8(Int8)
  case uint16(UInt16)
  case int16(Int16)
  case uint32(UInt32)
  case int32(Int32)
  case uint64(UInt64)
  case int64(Int64)
  case float32(Float)
  case float64(Double)
  case bool(Bool)
  case string(String)
  case array(GGUFArray)

  /// The whole number where this is one that fits.
  public var int: Int? {
    switch self {
    case .uint8(let value): Int(value)
    case .int8(let value): Int(value)
    case .uint16(let value): Int(value)
    case .int16(let value): Int(value)
    case .uint32(let value): Int(value)
    case .int32(let value): Int(value)
    case .uint64(let value): Int(exactly: value)
    case .int64(let value): Int(value)
    case .float32, .float64, .bool, .string, .array: nil
    }
  }

  /// The number where this is one. A 32-bit one becomes the shortest decimal that stands for it: 1e-5, not 9.99999974737875e-06.
  public var double: Double? {
    switch self {
    case .float32(let value): Double("\(value)")
    case .float64(let value): value
    default: int.map(Double.init)
    }
  }

  /// The truth value where this is one.
  public var bool: Bool? {
    if case .bool(let value) = self { return value }
    return nil
  }

  /// The text where this is one.
  public var string: String? {
    if case .string(let value) = self { return value }
    return nil
  }

  /// The elements where this is an array.
  public var array: GGUFArray? {
    if case .array(let value) = self { return value }
    return nil
  }
}

/// An array of a GGUF file's metadata: elements of one type.
public enum GGUFArray: Sendable, Hashable {
  case uint8([UInt8])
  case int8([Int8])
  case uint16([UInt16])
  case int16([Int16])
  case uint32([UInt32])
  case int32([Int32])
  case uint64([UInt64])
  case int64([Int64])
  case float32([Float])
  case float64([Double])
  case bool([Bool])
  case string([String])
  case array([GGUFArray])

  /// The texts where they are texts.
  public var strings: [String]? {
    if case .string(let values) = self { return values }
    return nil
  }

  /// The numbers where they are 32-bit floating-point numbers.
  public var floats: [Float]? {
    if case .float32(let values) = self { return values }
    return nil
  }

  /// The truth values where they are such.
  public var bools: [Bool]? {
    if case .bool(let values) = self { return values }
    return nil
  }

  /// The whole numbers where they are such and fit.
  public var ints: [Int]? {
    switch self {
    case .uint8(let values): values.map(Int.init)
    case .int8(let values): values.map(Int.init)
    case .uint16(let values): values.map(Int.init)
    case .int16(let values): values.map(Int.init)
    case .uint32(let values): values.map(Int.init)
    case .int32(let values): values.map(Int.init)
    case .uint64(let values): values.allSatisfy { $0 <= Int.max } ? values.map(Int.init) : nil
    case .int64(let values): values.map(Int.init)
    case .float32, .float64, .bool, .string, .array: nil
    }
  }
}
