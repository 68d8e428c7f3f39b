/// Trimming, words and lines as Python's `str` has them.
enum TextTrim {
  /// The text without leading and trailing characters of `characters`, or white space where that is nil.
  static func trim(_ text: String, _ characters: String? = nil, start: Bool = true, end: Bool = true) -> String {
    let wanted = characters.map { Set($0.unicodeScalars) }
    let goes: (Unicode.Scalar) -> Bool = { wanted?.contains($0) ?? TemplateSpace.contains($0) }
    var scalars = Substring(text).unicodeScalars
    if start { while let first = scalars.first, goes(first) { scalars.removeFirst() } }
    if end { while let last = scalars.last, goes(last) { scalars.removeLast() } }
    return String(scalars)
  }

  /// The runs of characters between white space, cut at most `limit` times.
  static func words(_ text: String, limit: Int, fromEnd: Bool) -> [String] {
    if fromEnd {
      let mirrored = words(String(String.UnicodeScalarView(text.unicodeScalars.reversed())), limit: limit, fromEnd: false)
      return mirrored.reversed().map { String(String.UnicodeScalarView($0.unicodeScalars.reversed())) }
    }
    var words: [String] = []
    var rest = Substring(text).unicodeScalars
    while true {
      rest = rest.drop(while: TemplateSpace.contains)
      guard !rest.isEmpty else { return words }
      guard words.count < limit else { return words + [String(rest)] }
      let word = rest.prefix { !TemplateSpace.contains($0) }
      words.append(String(word))
      rest = rest[word.endIndex...]
    }
  }

  /// The last run of characters between white space; nil where there is nothing else. Looks at no more than that.
  static func lastWord(of text: String) -> String? {
    let scalars = text.unicodeScalars
    guard let last = scalars.lastIndex(where: { !TemplateSpace.contains($0) }) else { return nil }
    let space = scalars[..<last].lastIndex(where: TemplateSpace.contains)
    return String(scalars[(space.map { scalars.index(after: $0) } ?? scalars.startIndex)...last])
  }

  /// The lines of a text, without or with what ends them.
  static func lines(_ text: String, keepingEnds: Bool = false) -> [String] {
    var lines: [String] = []
    let scalars = text.unicodeScalars
    var start = scalars.startIndex
    var place = start
    while place < scalars.endIndex {
      let end = place
      scalars.formIndex(after: &place)
      guard TemplateSpace.breaksLine(scalars[end]) else { continue }
      if scalars[end] == "\r", place < scalars.endIndex, scalars[place] == "\n" { scalars.formIndex(after: &place) }
      lines.append(String(scalars[start..<(keepingEnds ? place : end)]))
      start = place
    }
    if start < scalars.endIndex { lines.append(String(scalars[start...])) }
    return lines
  }
}
