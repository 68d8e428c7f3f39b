import Foundation

/// The digest of many bytes, made on every core: SHA-256 over their number and the SHA-256 of each block of 4 MiB.
enum BlockDigest {
  /// The bytes of a block.
  static let blockSize = 1 << 22

  /// The digest of a buffer.
  static func of(_ bytes: UnsafeRawBufferPointer, blockSize: Int = blockSize) -> [UInt8] {
    nonisolated(unsafe) let bytes = bytes
    let digests = blocks(of: bytes.count, blockSize).concurrentMap {
      SHA256.digest(of: UnsafeRawBufferPointer(rebasing: bytes[$0]))
    }
    return joined(digests, bytes.count)
  }

  /// The digest of a file's contents. No more of it is held than a block for each core.
  ///
  /// - Throws: ``DatasetError`` where the file cannot be read or becomes shorter meanwhile.
  static func ofFile(_ path: String, size: Int, blockSize: Int = blockSize) throws(DatasetError) -> [UInt8] {
    let digests = blocks(of: size, blockSize).concurrentMap { block -> [UInt8]? in
      guard let handle = FileHandle(forReadingAtPath: path) else { return nil }
      defer { try? handle.close() }
      guard (try? handle.seek(toOffset: UInt64(block.lowerBound))) != nil,
        let data = try? handle.read(upToCount: block.count), data.count == block.count
      else { return nil }
      return data.withUnsafeBytes { SHA256.digest(of: $0) }
    }
    let whole = digests.compactMap { $0 }
    guard whole.count == digests.count else {
      throw DatasetError("cannot read all of “\(path)”", cure: "Check that nothing else is writing it, and its disk")
    }
    return joined(whole, size)
  }

  private static func blocks(of size: Int, _ blockSize: Int) -> [Range<Int>] {
    stride(from: 0, to: size, by: blockSize).map { $0..<min($0 + blockSize, size) }
  }

  private static func joined(_ digests: [[UInt8]], _ size: Int) -> [UInt8] {
    var hash = SHA256()
    hash.update(LittleEndian.bytes(UInt64(size)))
    for digest in digests { hash.update(digest) }
    return hash.digest()
  }

  /// The same digest of bytes that come piece by piece.
  struct Stream {
    private let blockSize: Int
    private var block = SHA256()
    private var filled = 0
    private var size = 0
    private var digests: [[UInt8]] = []

    /// The digest of nothing so far.
    init(blockSize: Int = BlockDigest.blockSize) {
      self.blockSize = blockSize
    }

    /// Takes further bytes.
    mutating func update(_ bytes: UnsafeRawBufferPointer) {
      size += bytes.count
      var rest = bytes[...]
      while !rest.isEmpty {
        let taken = rest.prefix(blockSize - filled)
        block.update(UnsafeRawBufferPointer(rebasing: taken))
        filled += taken.count
        rest = rest.dropFirst(taken.count)
        if filled == blockSize { closeBlock() }
      }
    }

    /// The digest of all bytes. Nothing can be added after it.
    mutating func digest() -> [UInt8] {
      if filled > 0 { closeBlock() }
      return joined(digests, size)
    }

    private mutating func closeBlock() {
      digests.append(block.digest())
      (block, filled) = (SHA256(), 0)
    }
  }
}

/// Numbers as bytes, the lowest first.
enum LittleEndian {
  static func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
}
