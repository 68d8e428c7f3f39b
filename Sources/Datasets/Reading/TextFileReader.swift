import Foundation
import OrderedCollections
import Text

/// Reads plain text: one file is one document. Several documents are several files in a folder, or JSON lines with `text`.
enum TextFileReader {
  /// How many bytes a document may have: 1 GiB.
  static let byteLimit = 1 << 30

  /// Hands the document to `body`. A file without text has none.
  static func read(_ path: String, _ body: (RawRow) throws -> Void) throws {
    var chunks = try FileChunks(path: path)
    var bytes: [UInt8] = []
    let start = SourceLocation(file: path, line: 1)
    while let chunk = try chunks.next() {
      guard bytes.count + chunk.count <= byteLimit else {
        try body(.broken(start, "has more than \(byteLimit) bytes", cure: "Split the file into documents"))
        return
      }
      bytes += chunk
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      let line = firstDamagedLine(bytes)
      try body(.broken(SourceLocation(file: path, line: line), "is not UTF-8", cure: "Convert the file to UTF-8"))
      return
    }
    guard text.contains(where: { !$0.isWhitespace }) else { return }
    try body(RawRow(location: start, payload: .fields(["text": .string(text)])))
  }

  private static func firstDamagedLine(_ bytes: [UInt8]) -> Int {
    let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
    return (lines.firstIndex { String(validating: $0, as: UTF8.self) == nil } ?? 0) + 1
  }
}
