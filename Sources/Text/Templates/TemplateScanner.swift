extension TemplateLexer {
  private static let operators: [String] = [
    "**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":",
    "|", ",", ";",
  ]

  /// The token of an expression at the current position, which is not white space.
  mutating func scanToken() throws -> TemplateToken.Kind {
    let first = source[position]
    if Self.isDigit(first) { return try number() }
    if first == UInt8(ascii: "\"") || first == UInt8(ascii: "'") { return .string(try string()) }
    if Self.isNamePart(first) { return try name() }
    for text in Self.operators where source[position...].starts(with: text.utf8) {
      position += text.utf8.count
      return .symbol(text)
    }
    throw TemplateFailure("unexpected character “\(Character(UnicodeScalar(first)))”", kind: .syntax)
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  private static func isNamePart(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), 0x80...0xFF: true
    default: isDigit(byte)
    }
  }

  private mutating func name() throws -> TemplateToken.Kind {
    let start = position
    while position < source.count, Self.isNamePart(source[position]), TemplateSpace.end(in: source, from: position) == position {
      position += 1
    }
    let text = String(decoding: source[start..<position], as: UTF8.self)
    let valid = text.unicodeScalars.allSatisfy { $0 == "_" || $0.properties.isXIDContinue }
    guard valid else { throw TemplateFailure("“\(text)” is not a name", kind: .syntax) }
    return .name(text)
  }

  // MARK: numbers

  private mutating func number() throws -> TemplateToken.Kind {
    let start = position
    let afterDot = start > 0 && source[start - 1] == UInt8(ascii: ".")
    if !afterDot, let end = doubleEnd(from: start) {
      position = end
      guard let value = Double(digits(start..<end)) else { throw TemplateFailure("a number cannot be read", kind: .syntax) }
      return .double(value)
    }
    let (radix, first, end) = integerEnd(from: start)
    position = end
    guard let value = Int(digits(first..<end), radix: radix) else {
      throw TemplateFailure("the number \(digits(start..<end)) does not fit in 64 bits", kind: .syntax)
    }
    return .integer(value)
  }

  private func digits(_ range: Range<Int>) -> String {
    String(decoding: source[range].filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
  }

  /// The end of a run of digits in which single underscores may separate; nil if there is no digit.
  private func runEnd(from start: Int, where isDigit: (UInt8) -> Bool) -> Int? {
    var place = start
    guard place < source.count, isDigit(source[place]) else { return nil }
    while place < source.count {
      if isDigit(source[place]) {
        place += 1
      } else if source[place] == UInt8(ascii: "_"), place + 1 < source.count, isDigit(source[place + 1]) {
        place += 2
      } else {
        break
      }
    }
    return place
  }

  private func doubleEnd(from start: Int) -> Int? {
    guard var end = runEnd(from: start, where: Self.isDigit) else { return nil }
    var isDouble = false
    if end < source.count, source[end] == UInt8(ascii: "."), let fraction = runEnd(from: end + 1, where: Self.isDigit) {
      end = fraction
      isDouble = true
    }
    if end < source.count, source[end] | 0x20 == UInt8(ascii: "e") {
      let signed = end + 1 < source.count && [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(source[end + 1])
      if let exponent = runEnd(from: end + (signed ? 2 : 1), where: Self.isDigit) {
        end = exponent
        isDouble = true
      }
    }
    return isDouble ? end : nil
  }

  private func integerEnd(from start: Int) -> (radix: Int, first: Int, end: Int) {
    guard source[start] == UInt8(ascii: "0") else {
      return (10, start, runEnd(from: start, where: Self.isDigit) ?? start + 1)
    }
    let marker = start + 1 < source.count ? source[start + 1] | 0x20 : 0
    let radix: Int? =
      switch marker {
      case UInt8(ascii: "b"): 2
      case UInt8(ascii: "o"): 8
      case UInt8(ascii: "x"): 16
      default: nil
      }
    if let radix {
      let first = start + 2 < source.count && source[start + 2] == UInt8(ascii: "_") ? start + 3 : start + 2
      let end = runEnd(from: first) { Character(UnicodeScalar($0)).hexDigitValue.map { $0 < radix } ?? false }
      if let end { return (radix, first, end) }
    }
    return (10, start, runEnd(from: start) { $0 == UInt8(ascii: "0") } ?? start + 1)
  }

  // MARK: strings

  private mutating func string() throws -> String {
    let quote = source[position]
    position += 1
    var text: [UInt8] = []
    while position < source.count {
      let byte = source[position]
      position += 1
      if byte == quote { return String(decoding: text, as: UTF8.self) }
      if byte == UInt8(ascii: "\n") { line += 1 }
      if byte == UInt8(ascii: "\\"), position < source.count {
        try escape(into: &text)
      } else {
        text.append(byte)
      }
    }
    throw TemplateFailure("a string is not closed", kind: .syntax)
  }

  private mutating func escape(into text: inout [UInt8]) throws {
    let kind = source[position]
    position += 1
    switch kind {
    case UInt8(ascii: "\n"): line += 1
    case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): text.append(kind)
    case UInt8(ascii: "a"): text.append(0x07)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "v"): text.append(0x0B)
    case UInt8(ascii: "x"): try appendScalar(digits: 2, to: &text)
    case UInt8(ascii: "u"): try appendScalar(digits: 4, to: &text)
    case UInt8(ascii: "U"): try appendScalar(digits: 8, to: &text)
    case UInt8(ascii: "0")...UInt8(ascii: "7"): appendOctal(to: &text)
    case UInt8(ascii: "N"): throw TemplateFailure("characters by name (\\N{…}) are not supported", kind: .syntax)
    default: text += [UInt8(ascii: "\\"), kind]
    }
  }

  private mutating func appendOctal(to text: inout [UInt8]) {
    var end = position
    while end < source.count, end < position + 2, (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(source[end]) { end += 1 }
    let value = UInt32(String(decoding: source[position - 1..<end], as: UTF8.self), radix: 8) ?? 0
    position = end
    if let scalar = UnicodeScalar(value) { text += Array(String(Character(scalar)).utf8) }
  }

  private mutating func appendScalar(digits count: Int, to text: inout [UInt8]) throws {
    let end = min(position + count, source.count)
    let digits = String(decoding: source[position..<end], as: UTF8.self)
    guard digits.utf8.count == count, digits.allSatisfy(\.isHexDigit), let value = UInt32(digits, radix: 16),
      let scalar = UnicodeScalar(value)
    else { throw TemplateFailure("an escape needs \(count) hexadecimal digits that name a character", kind: .syntax) }
    position = end
    text += Array(String(Character(scalar)).utf8)
  }
}
