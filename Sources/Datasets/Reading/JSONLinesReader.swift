/// Reads JSON lines: one object a line, blank lines skipped.
enum JSONLinesReader {
  /// Hands every row of the file to `body`, in order.
  static func read(_ path: String, _ body: (RawRow) throws -> Void) throws {
    var lines = try LineReader(path: path, limit: RawRow.byteLimit)
    while let line = try lines.next() {
      let location = SourceLocation(file: path, line: line.number)
      if line.isTooLong {
        let problem = "has more than \(RawRow.byteLimit) bytes"
        try body(.broken(location, problem, cure: "Check that every row stands on a line of its own"))
      } else if !line.bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) {
        try body(RawRow(location: location, payload: .json(line.bytes)))
      }
    }
  }
}
