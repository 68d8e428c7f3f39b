import Text

/// Files with one JSON value a line.
enum JSONLines {
  /// Reads all lines but empty ones.
  ///
  /// - Parameters:
  ///   - path: the file; “-” for standard input.
  ///   - hint: what to put on a line, for a file that holds none.
  ///   - make: makes what is wanted of a line, given its place as `file:line`.
  /// - Throws: ``CommandError`` that names the bad lines, or says that there are none at all.
  static func read<Line>(_ path: String, hint: String, make: (String, JSON) throws -> Line) throws -> [Line] {
    let name = path == "-" ? "standard input" : path
    var lines: [Line] = []
    var problems: [String] = []
    let text = try TextInput.read(path)
    for (index, line) in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
      let place = "\(name):\(index + 1)"
      do { lines.append(try make(place, JSON(parsing: line))) } catch { problems.append("\(place): \(error)") }
    }
    try refuse(problems)
    guard !lines.isEmpty else { throw CommandError("\(name): holds no lines; \(hint)") }
    return lines
  }

  /// Refuses lines that cannot be used, named all together.
  static func refuse(_ problems: [String]) throws(CommandError) {
    guard !problems.isEmpty else { return }
    let more = problems.count > 10 ? ["… and \(problems.count - 10) more"] : []
    throw CommandError((problems.prefix(10) + more).joined(separator: "\n"))
  }
}
