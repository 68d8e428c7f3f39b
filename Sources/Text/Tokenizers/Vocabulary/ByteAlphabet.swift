/// The printable characters that byte-level vocabularies spell bytes with.
///
/// The 188 bytes that Latin-1 prints stand for themselves; the others take the scalars from U+0100 on, in order (Radford et
/// al., "Language Models are Unsupervised Multitask Learners", 2019, and its published vocabulary).
enum ByteAlphabet {
  /// The scalar of each byte.
  static let scalars: [Unicode.Scalar] = {
    var next: UInt32 = 0x100
    return (0...255).map { byte in
      let printable = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
      defer { if !printable { next += 1 } }
      return Unicode.Scalar(printable ? UInt32(byte) : next) ?? " "
    }
  }()

  /// The spelling of each byte in UTF-8.
  static let spellings: [[UInt8]] = scalars.map { Array(String($0).utf8) }

  /// The byte of each scalar below `bytes.count`, or -1.
  private static let bytes: [Int16] = {
    var table = Array(repeating: Int16(-1), count: 0x144)
    for (byte, scalar) in scalars.enumerated() { table[Int(scalar.value)] = Int16(byte) }
    return table
  }()

  /// The bytes that `spelling` stands for; nil where a character is not of the alphabet.
  static func bytes(of spelling: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(spelling.count)
    return append(bytesOf: spelling, to: &result) ? result : nil
  }

  /// Appends the bytes that `spelling` stands for; appends nothing and returns false where a character is not of the alphabet.
  static func append(bytesOf spelling: UnsafeBufferPointer<UInt8>, to result: inout [UInt8]) -> Bool {
    let start = result.count
    var index = 0
    while index < spelling.count {
      let (value, length) = UTF8Scalars.scalar(in: spelling, at: index)
      guard value < bytes.count, bytes[Int(value)] >= 0 else {
        result.removeSubrange(start...)
        return false
      }
      result.append(UInt8(truncatingIfNeeded: bytes[Int(value)]))
      index += length
    }
    return true
  }

  /// The spelling of raw bytes.
  static func spelling(of raw: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(raw.count * 2)
    for byte in raw { result.append(contentsOf: spellings[Int(byte)]) }
    return result
  }
}
