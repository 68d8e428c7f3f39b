/// Scalars read straight from UTF-8 that is known to be well formed.
enum UTF8Scalars {
  /// The scalar that starts at `index`, and its length in bytes. `bytes` holds well-formed UTF-8 and `index` is a boundary.
  @inline(__always)
  static func scalar(in bytes: UnsafeBufferPointer<UInt8>, at index: Int) -> (value: UInt32, length: Int) {
    let first = bytes[index]
    if first < 0x80 { return (UInt32(first), 1) }
    if first < 0xE0 { return (UInt32(first & 0x1F) << 6 | tail(bytes, index + 1), 2) }
    if first < 0xF0 {
      return (UInt32(first & 0x0F) << 12 | tail(bytes, index + 1) << 6 | tail(bytes, index + 2), 3)
    }
    let high = UInt32(first & 0x07) << 18 | tail(bytes, index + 1) << 12
    return (high | tail(bytes, index + 2) << 6 | tail(bytes, index + 3), 4)
  }

  @inline(__always)
  private static func tail(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> UInt32 { UInt32(bytes[index] & 0x3F) }

  /// Where the scalar before `index` starts. `index` is a boundary above 0.
  @inline(__always)
  static func boundary(before index: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Int {
    var start = index - 1
    while start > 0, bytes[start] & 0xC0 == 0x80 { start -= 1 }
    return start
  }

  /// The length in bytes of the scalar that starts with `first`.
  @inline(__always)
  static func length(startingWith first: UInt8) -> Int { first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4 }
}
