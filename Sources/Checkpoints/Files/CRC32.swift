import CTorch

/// The 32-bit cyclic redundancy check of zip, gzip and PNG. It finds damage, not tampering.
public struct CRC32: Sendable {
  /// The check value of all bytes so far.
  public private(set) var value: UInt32 = 0

  /// Of no bytes yet.
  public init() {}

  /// Takes further bytes.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) { value = ct_crc32(value, bytes.baseAddress, Int64(bytes.count)) }

  /// The check value of a buffer.
  public static func of(_ bytes: UnsafeRawBufferPointer) -> UInt32 { ct_crc32(0, bytes.baseAddress, Int64(bytes.count)) }
}
