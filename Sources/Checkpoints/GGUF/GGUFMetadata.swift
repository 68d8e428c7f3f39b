import OrderedCollections

/// The key-value pairs at the head of a GGUF file.
public struct GGUFMetadata: Sendable {
  /// The pairs in the order of the file.
  public let values: OrderedDictionary<String, GGUFValue>
  let path: String

  /// The value of a key; nil where the file has none.
  public subscript(key: String) -> GGUFValue? { values[key] }

  /// The whole number under a key; nil where the file has no such key.
  ///
  /// - Throws: ``CheckpointError`` where the value is something else.
  public func int(_ key: String) throws(CheckpointError) -> Int? { try value(key, \.int, "a whole number") }

  /// The number under a key; nil where the file has no such key.
  ///
  /// - Throws: ``CheckpointError`` where the value is something else.
  public func double(_ key: String) throws(CheckpointError) -> Double? { try value(key, \.double, "a number") }

  /// The truth value under a key; nil where the file has no such key.
  ///
  /// - Throws: ``CheckpointError`` where the value is something else.
  public func bool(_ key: String) throws(CheckpointError) -> Bool? { try value(key, \.bool, "a truth value") }

  /// The text under a key; nil where the file has no such key.
  ///
  /// - Throws: ``CheckpointError`` where the value is something else.
  public func string(_ key: String) throws(CheckpointError) -> String? { try value(key, \.string, "text") }

  /// The texts under a key; nil where the file has no such key.
  ///
  /// - Throws: ``CheckpointError`` where the value is something else.
  public func strings(_ key: String) throws(CheckpointError) -> [String]? {
    try value(key, \.array?.strings, "a list of texts")
  }

  /// The 32-bit floating-point numbers under a key; nil where the file has no such key.
  ///
  /// - Throws: ``CheckpointError`` where the value is something else.
  public func floats(_ key: String) throws(CheckpointError) -> [Float]? {
    try value(key, \.array?.floats, "a list of 32-bit floating-point numbers")
  }

  /// The whole numbers under a key; nil where the file has no such key.
  ///
  /// - Throws: ``CheckpointError`` where the value is something else.
  public func ints(_ key: String) throws(CheckpointError) -> [Int]? {
    try value(key, \.array?.ints, "a list of whole numbers")
  }

  private func value<Value>(
    _ key: String, _ cast: (GGUFValue) -> Value?, _ kind: String
  ) throws(CheckpointError) -> Value? {
    guard let value = values[key] else { return nil }
    guard let result = cast(value) else {
      throw CheckpointError(.malformed, at: path, in: "key “\(key)”", "its value is not \(kind)")
    }
    return result
  }

  /// The value of a key that must be there.
  func required<Value>(_ value: Value?, _ key: String) throws(CheckpointError) -> Value {
    guard let value else { throw CheckpointError(.malformed, at: path, in: "key “\(key)”", "is missing") }
    return value
  }
}

/// The numbers by which a file names the types of its metadata.
private enum ValueType: UInt32 {
  case uint8 = 0
  case int8
  case uint16
  case int16
  case uint32
  case int32
  case float32
  case bool
  case string
  case array
  case uint64
  case int64
  case float64
}

extension GGUFCursor {
  /// How deep arrays of arrays may go. No file in use has any.
  private static let nestingLimit = 4

  /// The type of the next value.
  private mutating func valueType() throws(CheckpointError) -> ValueType {
    let code = try number(UInt32.self, "a value's type")
    guard let type = ValueType(rawValue: code) else { throw wrong("has the unknown type \(code)") }
    return type
  }

  /// The next value with its type before it.
  mutating func value() throws(CheckpointError) -> GGUFValue {
    switch try valueType() {
    case .uint8: .uint8(try number(UInt8.self, "a number"))
    case .int8: .int8(try number(Int8.self, "a number"))
    case .uint16: .uint16(try number(UInt16.self, "a number"))
    case .int16: .int16(try number(Int16.self, "a number"))
    case .uint32: .uint32(try number(UInt32.self, "a number"))
    case .int32: .int32(try number(Int32.self, "a number"))
    case .uint64: .uint64(try number(UInt64.self, "a number"))
    case .int64: .int64(try number(Int64.self, "a number"))
    case .float32: .float32(try number(Float.self, "a number"))
    case .float64: .float64(try number(Double.self, "a number"))
    case .bool: .bool(try truth(number(UInt8.self, "a truth value")))
    case .string: .string(try string("a text"))
    case .array: .array(try array(depth: 1))
    }
  }

  private func truth(_ byte: UInt8) throws(CheckpointError) -> Bool {
    guard byte <= 1 else { throw wrong("a truth value is the byte \(byte), neither 0 nor 1") }
    return byte == 1
  }

  private mutating func array(depth: Int) throws(CheckpointError) -> GGUFArray {
    guard depth <= GGUFCursor.nestingLimit else { throw wrong("arrays nest deeper than \(GGUFCursor.nestingLimit) levels") }
    switch try valueType() {
    case .uint8: return .uint8(try numbers(UInt8.self))
    case .int8: return .int8(try numbers(Int8.self))
    case .uint16: return .uint16(try numbers(UInt16.self))
    case .int16: return .int16(try numbers(Int16.self))
    case .uint32: return .uint32(try numbers(UInt32.self))
    case .int32: return .int32(try numbers(Int32.self))
    case .uint64: return .uint64(try numbers(UInt64.self))
    case .int64: return .int64(try numbers(Int64.self))
    case .float32: return .float32(try numbers(Float.self))
    case .float64: return .float64(try numbers(Double.self))
    case .bool:
      var values: [Bool] = []
      for byte in try numbers(UInt8.self) { values.append(try truth(byte)) }
      return .bool(values)
    case .string:
      let count = try count("the length of an array", minimumSize: 8)
      var values = room(for: count, String.self)
      for index in 0..<count { values.append(try string("element \(index)")) }
      return .string(values)
    case .array:
      let count = try count("the length of an array", minimumSize: 12)
      var values = room(for: count, GGUFArray.self)
      for _ in 0..<count { values.append(try array(depth: depth + 1)) }
      return .array(values)
    }
  }

  private mutating func numbers<Number: BitwiseCopyable>(_ type: Number.Type) throws(CheckpointError) -> [Number] {
    let count = try count("the length of an array", minimumSize: MemoryLayout<Number>.size)
    return numbers(count, type)
  }
}
