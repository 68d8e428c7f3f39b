import Checkpoints

/// A GGUF file put together by hand, so that each part of it can be wrong.
struct GGUFBytes {
  var version: UInt32 = 3
  var keys: [(String, GGUFValue)] = []
  /// Name, shape (outermost first), number of the type, bytes.
  var tensors: [(String, [Int], UInt32, [UInt8])] = []
  /// The offsets in the table; nil for the right ones.
  var offsets: [UInt64]?
  /// The number of tensors and of keys that the file declares; nil for the right ones.
  var declaredTensors: UInt64?
  var declaredKeys: UInt64?

  var file: [UInt8] {
    var bytes = Array("GGUF".utf8)
    bytes.add(version)
    bytes.add(declaredTensors ?? UInt64(tensors.count))
    bytes.add(declaredKeys ?? UInt64(keys.count))
    for (key, value) in keys {
      bytes.add(key)
      bytes.add(value)
    }
    var data: [UInt8] = []
    for (index, (name, shape, type, contents)) in tensors.enumerated() {
      bytes.add(name)
      bytes.add(UInt32(shape.count))
      for size in shape.reversed() { bytes.add(UInt64(bitPattern: Int64(size))) }
      bytes.add(type)
      bytes.add(offsets?[index] ?? UInt64(data.count))
      data += contents
      data.pad(to: 32)
    }
    bytes.pad(to: 32)
    return bytes + data
  }
}

extension [UInt8] {
  mutating func add<Number: BitwiseCopyable>(_ number: Number) {
    Swift.withUnsafeBytes(of: number) { append(contentsOf: $0) }
  }

  mutating func add(_ text: String) {
    add(UInt64(text.utf8.count))
    append(contentsOf: text.utf8)
  }

  mutating func pad(to alignment: Int) {
    append(contentsOf: repeatElement(0, count: (alignment - count % alignment) % alignment))
  }

  /// A value with its type before it; only the kinds the tests write.
  mutating func add(_ value: GGUFValue) {
    switch value {
    case .uint8(let number): add(0 as UInt32, number)
    case .uint16(let number): add(2 as UInt32, number)
    case .uint32(let number): add(4 as UInt32, number)
    case .int32(let number): add(5 as UInt32, number)
    case .float32(let number): add(6 as UInt32, number)
    case .string(let text):
      add(8 as UInt32)
      add(text)
    case .array(.int32(let numbers)):
      add(9 as UInt32, 5 as UInt32)
      add(UInt64(numbers.count))
      for number in numbers { add(number) }
    case .array(.array(let inner)):
      add(9 as UInt32, 9 as UInt32)
      add(UInt64(inner.count))
      for array in inner {
        var bytes: [UInt8] = []
        bytes.add(.array(array))
        append(contentsOf: bytes.dropFirst(4))
      }
    case .array(.string(let texts)):
      add(9 as UInt32, 8 as UInt32)
      add(UInt64(texts.count))
      for text in texts { add(text) }
    default: preconditionFailure("the tests write no such value")
    }
  }

  private mutating func add<First: BitwiseCopyable, Second: BitwiseCopyable>(_ first: First, _ second: Second) {
    add(first)
    add(second)
  }
}
