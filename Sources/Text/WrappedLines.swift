extension String {
  /// The text in lines of at most `columns` columns.
  ///
  /// Lines break between words; a word that is longer than a line is cut. What a line begins with in spaces stays, also on the
  /// lines that go on with it, as long as it takes at most half of the width. A character wider than a line has one for itself.
  ///
  /// - Parameter columns: columns of a terminal, from 1.
  public func wrapped(to columns: Int) -> [String] {
    printable.split(separator: "\n", omittingEmptySubsequences: false).flatMap { WrappedLine($0, columns: columns).lines }
  }
}

/// One line on its way into several.
private struct WrappedLine {
  private(set) var lines: [String] = []
  private let columns: Int
  private let indent: String
  private var line: String
  private var width: Int

  init(_ text: Substring, columns: Int) {
    self.columns = max(1, columns)
    let leading = text.prefix { $0 == " " }
    let indent = leading.count <= self.columns / 2 ? String(leading) : ""
    (self.indent, line, width) = (indent, indent, indent.count)
    let words = text.dropFirst(leading.count).split(separator: " ", omittingEmptySubsequences: false)
    for (place, word) in words.enumerated() { add(word, isFirst: place == 0) }
    close()
  }

  private mutating func add(_ word: Substring, isFirst: Bool) {
    let wordWidth = String(word).displayWidth
    if !isFirst {
      if width + 1 + wordWidth <= columns {
        line += " "
        width += 1
      } else if !word.isEmpty {
        close()
      }
    }
    for character in word {
      if width + character.displayWidth > columns, width > indent.count { close() }
      line.append(character)
      width += character.displayWidth
    }
  }

  /// Ends the line and begins the next one.
  private mutating func close() {
    while line.last == " " { line.removeLast() }
    lines.append(line)
    (line, width) = (indent, indent.count)
  }
}
