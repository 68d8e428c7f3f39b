/// Reads a file line by line, holding one line and one chunk at a time.
struct LineReader {
  /// One line without its end.
  struct Line {
    /// From 1.
    let number: Int
    /// The bytes; empty where there were more than the limit.
    let bytes: [UInt8]
    /// More bytes than a line may have.
    let isTooLong: Bool
  }

  private var chunks: FileChunks
  private let limit: Int
  private var buffer: [UInt8] = []
  private var position = 0
  private var number = 0

  /// Opens a file.
  ///
  /// - Parameter limit: how many bytes a line may have; what is beyond is skipped, never held.
  init(path: String, limit: Int, chunkSize: Int = 1 << 18) throws {
    chunks = try FileChunks(path: path, chunkSize: chunkSize)
    self.limit = limit
  }

  /// The next line; nil at the end. LF and CR LF end a line, and the last one may lack it.
  mutating func next() throws -> Line? {
    var text: [UInt8] = []
    var isTooLong = false
    var hasStarted = false
    var hasEnded = false
    while !hasEnded {
      if position == buffer.count {
        guard let chunk = try chunks.next() else { break }
        buffer = chunk
        position = 0
        continue
      }
      hasStarted = true
      let rest = buffer[position...]
      let end = rest.firstIndex(of: 0x0A)
      let piece = rest[..<(end ?? buffer.count)]
      isTooLong = isTooLong || text.count + piece.count > limit
      if isTooLong { text = [] } else { text += piece }
      position = end.map { $0 + 1 } ?? buffer.count
      hasEnded = end != nil
    }
    guard hasStarted else { return nil }
    number += 1
    if text.last == 0x0D { text.removeLast() }
    return Line(number: number, bytes: text, isTooLong: isTooLong)
  }
}
