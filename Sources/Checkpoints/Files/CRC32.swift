/// The 32-bit cyclic redundancy check of zip, gzip and PNG: polynomial 0xEDB88320, reflected. It finds damage, not tampering.
struct CRC32 {
  private var state: UInt32 = 0xFFFF_FFFF

  /// The check value of all bytes so far.
  var value: UInt32 { ~state }

  /// `tables[k][b]` carries byte `b` past `k` further bytes, so that eight bytes take eight independent look-ups.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var value = UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 0 ? value >> 1 : (value >> 1) ^ 0xEDB8_8320 }
      tables[byte] = value
    }
    for index in 256..<tables.count {
      let before = tables[index - 256]
      tables[index] = (before >> 8) ^ tables[Int(before & 0xFF)]
    }
    return tables
  }()

  /// Takes further bytes.
  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    var crc = state
    CRC32.tables.withUnsafeBufferPointer { table in
      var offset = 0
      while offset + 8 <= bytes.count {
        let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) ^ UInt64(crc)
        crc = table[Int(word >> 56)] ^ table[256 + Int(word >> 48 & 0xFF)]
        crc ^= table[512 + Int(word >> 40 & 0xFF)] ^ table[768 + Int(word >> 32 & 0xFF)]
        crc ^= table[1024 + Int(word >> 24 & 0xFF)] ^ table[1280 + Int(word >> 16 & 0xFF)]
        crc ^= table[1536 + Int(word >> 8 & 0xFF)] ^ table[1792 + Int(word & 0xFF)]
        offset += 8
      }
      for byte in bytes[offset...] { crc = (crc >> 8) ^ table[Int((crc ^ UInt32(byte)) & 0xFF)] }
    }
    state = crc
  }

  /// The check value of a buffer.
  static func of(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var crc = CRC32()
    crc.update(bytes)
    return crc.value
  }
}
