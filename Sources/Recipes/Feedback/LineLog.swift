import Foundation
import Text

/// A file of JSON lines that grows while work goes on, and is read again when it goes on later.
///
/// A line that was cut off when the program ended is dropped.
struct LineLog {
  let url: URL

  /// The lines that are whole; what follows the last of them is removed from the file.
  ///
  /// - Throws: what the system refuses, or a JSON error for a line in the middle that is none.
  func read() throws -> [JSON] {
    guard FileManager.default.fileExists(atPath: url.path) else { return [] }
    let data = try Data(contentsOf: url)
    let end = data.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    if end < data.count {
      let file = try FileHandle(forWritingTo: url)
      defer { try? file.close() }
      try file.truncate(atOffset: UInt64(end))
    }
    return try data[..<end].split(separator: UInt8(ascii: "\n")).map { try JSON(parsing: $0) }
  }

  /// Adds lines, which are on disk when this returns.
  func append(_ lines: [JSON]) throws {
    guard !lines.isEmpty else { return }
    if !FileManager.default.fileExists(atPath: url.path) { try Data().write(to: url) }
    let file = try FileHandle(forWritingTo: url)
    defer { try? file.close() }
    try file.seekToEnd()
    try file.write(contentsOf: Data(lines.map { $0.text() + "\n" }.joined().utf8))
    try file.synchronize()
  }
}
