import Foundation
import Text

/// Reads a JSON file: an array of objects, an object with one array of them, or one object that is itself a row.
///
/// The file is mapped, and cut at the borders of the elements without being parsed as a whole, so each row keeps its line and
/// rows before a damaged place can still be read. A `.json` file that holds JSON lines is read as such, and the reverse.
enum JSONFileReader {
  /// Hands every row of the file to `body`, in order.
  ///
  /// - Parameter isRow: true for the keys of an object that is a row, not a wrapping of rows.
  static func read(_ path: String, isRow: (Set<String>) -> Bool, _ body: (RawRow) throws -> Void) throws {
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
    } catch {
      throw DatasetError("cannot read “\(path)”: \(error.localizedDescription)", cure: "Check that the file may be read")
    }
    let text = try ByteOrderMark.removed(from: data, path: path)
    let isLines = try text.withUnsafeBytes { bytes in
      var scanner = JSONElementScanner(bytes: bytes, path: path)
      scanner.skipSpace()
      guard scanner.next == UInt8(ascii: "{") else {
        try scanner.elements(of: nil, body)
        return false
      }
      return try readObject(&scanner, isRow: isRow, body)
    }
    if isLines { try JSONLinesReader.read(path, body) }
  }

  /// True where something follows the object, so that the file holds JSON lines.
  private static func readObject(
    _ scanner: inout JSONElementScanner, isRow: (Set<String>) -> Bool, _ body: (RawRow) throws -> Void
  ) throws -> Bool {
    let start = scanner
    let members = scanner.members()
    scanner.skipSpace()
    if scanner.next != nil { return true }
    let arrays = members.filter(\.isArray)
    if members.isEmpty || arrays.isEmpty || isRow(Set(members.map(\.key))) {
      try body(start.row(upTo: scanner))
      return false
    }
    guard arrays.count == 1 else {
      let keys = arrays.map { "“\($0.key)”" }.joined(separator: ", ")
      throw DatasetError(
        "“\(start.path)” is one object with several arrays (\(keys))", cure: "Keep the rows in one array, or write JSON lines")
    }
    scanner.move(to: arrays[0])
    try scanner.elements(of: arrays[0].key, body)
    return false
  }
}
