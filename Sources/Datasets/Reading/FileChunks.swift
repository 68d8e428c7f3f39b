import Foundation

/// Hands out the bytes of a file piece by piece, without a byte-order mark.
struct FileChunks {
  private let path: String
  /// Nil once the end was reached.
  private var handle: FileHandle?
  private let size: Int
  private var isAtStart = true

  /// Opens a file.
  ///
  /// - Throws: ``DatasetError`` where it cannot be opened.
  init(path: String, chunkSize: Int = 1 << 18) throws {
    self.path = path
    size = chunkSize
    guard let handle = FileHandle(forReadingAtPath: path) else {
      throw DatasetError("cannot open “\(path)”", cure: "Check that the file is there and may be read")
    }
    self.handle = handle
  }

  /// The next bytes, or nil at the end of the file.
  mutating func next() throws -> [UInt8]? {
    guard let handle else { return nil }
    let data: Data?
    do {
      data = try handle.read(upToCount: size)
    } catch {
      throw DatasetError("cannot read “\(path)”: \(error.localizedDescription)", cure: "Check the file and its disk")
    }
    guard let data, !data.isEmpty else {
      self.handle = nil
      return nil
    }
    guard isAtStart else { return Array(data) }
    isAtStart = false
    return Array(try ByteOrderMark.removed(from: data, path: path))
  }
}

/// The mark that some editors put before the text.
enum ByteOrderMark {
  /// The bytes after a UTF-8 mark.
  ///
  /// - Throws: ``DatasetError`` where the mark, or a NUL in the first two bytes, tells of UTF-16 or UTF-32.
  static func removed(from start: Data, path: String) throws(DatasetError) -> Data {
    if start.starts(with: [0xEF, 0xBB, 0xBF]) { return start.dropFirst(3) }
    if start.starts(with: [0xFF, 0xFE]) || start.starts(with: [0xFE, 0xFF]) || start.prefix(2).contains(0) {
      throw DatasetError(
        "“\(path)” is not UTF-8 but UTF-16 or UTF-32", cure: "Convert it: iconv -f UTF-16 -t UTF-8 “\(path)”")
    }
    return start
  }
}
