/// Cuts a template into tokens, with white space treated as under Jinja's `trim_blocks` and `lstrip_blocks`.
struct TemplateLexer {
  let source: [UInt8]
  var position = 0
  var line = 1
  private var tokens: [TemplateToken] = []
  private var lineStarting = true

  init(_ text: String) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count)
    var afterReturn = false
    for byte in text.utf8 {
      if byte == UInt8(ascii: "\n"), afterReturn {
        afterReturn = false
        continue
      }
      afterReturn = byte == UInt8(ascii: "\r")
      bytes.append(afterReturn ? UInt8(ascii: "\n") : byte)
    }
    if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
    source = bytes
  }

  /// The tokens of a template, the last of which is `.end`.
  /// - Throws: ``TemplateError`` of kind `syntax`.
  static func tokens(of text: String, template: String) throws -> [TemplateToken] {
    var lexer = TemplateLexer(text)
    do {
      try lexer.run()
    } catch let failure as TemplateFailure {
      throw TemplateError(kind: failure.kind, problem: failure.problem, line: lexer.line, template: template)
    }
    return lexer.tokens
  }

  private mutating func run() throws {
    while let opening = nextOpening() {
      let kind = source[opening + 1]
      let isRaw = kind == UInt8(ascii: "%") ? rawBodyStart(at: opening) : nil
      let sign = opening + 2 < source.count ? source[opening + 2] : 0
      let end = dataEnd(opening, sign: sign, isVariable: kind == UInt8(ascii: "{"))
      addData(upTo: end)
      skip(to: opening)
      let signed = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
      if let body = isRaw {
        skip(to: body)
        lineStarting = body > 0 && source[body - 1] == UInt8(ascii: "\n")
        try raw()
      } else {
        position = opening + (signed ? 3 : 2)
        switch kind {
        case UInt8(ascii: "#"): try comment()
        case UInt8(ascii: "{"): try expression(closing: "}}", begin: .variableBegin, end: .variableEnd)
        default: try expression(closing: "%}", begin: .blockBegin, end: .blockEnd)
        }
      }
    }
    addData(upTo: source.count)
    tokens.append(TemplateToken(kind: .end, line: line))
  }

  // MARK: text outside tags

  private func nextOpening() -> Int? {
    var place = position
    while place + 1 < source.count {
      if source[place] == UInt8(ascii: "{") {
        let next = source[place + 1]
        if next == UInt8(ascii: "{") || next == UInt8(ascii: "%") || next == UInt8(ascii: "#") { return place }
      }
      place += 1
    }
    return nil
  }

  /// Where the text before a tag ends once the white space that the tag swallows is gone.
  private func dataEnd(_ opening: Int, sign: UInt8, isVariable: Bool) -> Int {
    if sign == UInt8(ascii: "-") { return TemplateSpace.trimmedEnd(of: source, from: position, to: opening) }
    guard sign != UInt8(ascii: "+"), !isVariable else { return opening }
    let newline = source[position..<opening].lastIndex(of: UInt8(ascii: "\n"))
    guard newline != nil || lineStarting else { return opening }
    let lineStart = newline.map { $0 + 1 } ?? position
    return TemplateSpace.trimmedEnd(of: source, from: lineStart, to: opening) == lineStart ? lineStart : opening
  }

  private mutating func addData(upTo end: Int) {
    if end > position {
      tokens.append(TemplateToken(kind: .data(String(decoding: source[position..<end], as: UTF8.self)), line: line))
    }
    skip(to: max(end, position))
  }

  /// Moves on, counting lines.
  private mutating func skip(to place: Int) {
    for byte in source[position..<place] where byte == UInt8(ascii: "\n") { line += 1 }
    position = place
  }

  private func matches(_ text: StaticString, at place: Int) -> Bool {
    let count = text.utf8CodeUnitCount
    guard place + count <= source.count else { return false }
    return text.withUTF8Buffer { source[place..<place + count].elementsEqual($0) }
  }

  private func spaceEnd(from place: Int) -> Int { TemplateSpace.end(in: source, from: place) }

  // MARK: comments and raw blocks

  private mutating func comment() throws {
    var place = position
    while place < source.count {
      if matches("-#}", at: place) {
        return close(at: spaceEnd(from: place + 3))
      } else if matches("+#}", at: place) {
        return close(at: place + 3)
      } else if matches("#}", at: place) {
        return close(at: afterNewline(place + 2))
      }
      place += 1
    }
    throw TemplateFailure("the comment that starts here is not closed", kind: .syntax)
  }

  private func afterNewline(_ place: Int) -> Int { matches("\n", at: place) ? place + 1 : place }

  private mutating func close(at place: Int) {
    skip(to: place)
    lineStarting = source[place - 1] == UInt8(ascii: "\n")
  }

  /// Where the body of a raw block starts, if the tag at `opening` is `{% raw %}`.
  private func rawBodyStart(at opening: Int) -> Int? {
    guard let end = word("raw", inTagAt: opening) else { return nil }
    if matches("-%}", at: end) { return spaceEnd(from: end + 3) }
    return matches("%}", at: end) ? end + 2 : nil
  }

  /// Where the white space after `text` ends, if that word opens the tag at `opening`.
  private func word(_ text: StaticString, inTagAt opening: Int) -> Int? {
    guard matches("{%", at: opening) else { return nil }
    let signed = matches("-", at: opening + 2) || matches("+", at: opening + 2)
    let start = spaceEnd(from: opening + (signed ? 3 : 2))
    return matches(text, at: start) ? spaceEnd(from: start + text.utf8CodeUnitCount) : nil
  }

  private mutating func raw() throws {
    var place = position
    while place < source.count {
      if let end = word("endraw", inTagAt: place), let after = tagEnd(at: end) {
        addData(upTo: dataEnd(place, sign: source[place + 2], isVariable: false))
        return close(at: after)
      }
      place += 1
    }
    throw TemplateFailure("the raw block that starts here is not closed", kind: .syntax)
  }

  private func tagEnd(at place: Int) -> Int? {
    if matches("-%}", at: place) { return spaceEnd(from: place + 3) }
    if matches("+%}", at: place) { return place + 3 }
    return matches("%}", at: place) ? afterNewline(place + 2) : nil
  }

  // MARK: tags

  private mutating func expression(closing: StaticString, begin: TemplateToken.Kind, end: TemplateToken.Kind) throws {
    tokens.append(TemplateToken(kind: begin, line: line))
    var open: [UInt8] = []
    while position < source.count {
      if open.isEmpty, let after = begin == .blockBegin ? tagEnd(at: position) : variableEnd(at: position) {
        tokens.append(TemplateToken(kind: end, line: line))
        return close(at: after)
      }
      let space = spaceEnd(from: position)
      if space > position {
        skip(to: space)
      } else {
        let start = line
        let kind = try scanToken()
        if case .symbol(let text) = kind { try balance(text, &open) }
        tokens.append(TemplateToken(kind: kind, line: start))
      }
    }
    throw TemplateFailure("a tag is not closed with “\(closing)”", kind: .syntax)
  }

  private func variableEnd(at place: Int) -> Int? {
    if matches("-}}", at: place) { return spaceEnd(from: place + 3) }
    return matches("}}", at: place) ? place + 2 : nil
  }

  private func balance(_ text: String, _ open: inout [UInt8]) throws {
    switch text {
    case "{": open.append(UInt8(ascii: "}"))
    case "(": open.append(UInt8(ascii: ")"))
    case "[": open.append(UInt8(ascii: "]"))
    case "}", ")", "]":
      guard let expected = open.popLast() else { throw TemplateFailure("unexpected “\(text)”", kind: .syntax) }
      guard text.utf8.first == expected else {
        let wanted = Character(UnicodeScalar(expected))
        throw TemplateFailure("found “\(text)” where “\(wanted)” should close the bracket", kind: .syntax)
      }
    default: break
    }
  }
}
