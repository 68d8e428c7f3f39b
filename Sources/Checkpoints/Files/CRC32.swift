import CTorch

/// The 32-bit cyclic redundancy check of zip, gzip and PNG. It finds damage, not tampering.
struct CRC32 {
  /// The check value of all bytes so far.
  private(set) var value: UInt32 = 0

  /// Takes further bytes.
  mutating func update(_ bytes: UnsafeRawBufferPointer) { value = ct_crc32(value, bytes.baseAddress, Int64(bytes.count)) }

  /// The check value of a buffer.
  static func of(_ bytes: UnsafeRawBufferPointer) -> UInt32 { ct_crc32(0, bytes.baseAddress, Int64(bytes.count)) }
}
