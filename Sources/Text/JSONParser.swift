import OrderedCollections

/// What is wrong with a JSON text, and where.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What was expected or found.
  public let problem: String
  /// The line, from 1.
  public let line: Int
  /// The byte in the line, from 1.
  public let column: Int

  /// The problem with its place.
  public var description: String { "not valid JSON at line \(line), column \(column): \(problem)" }
}

extension JSON {
  /// What a key that an object holds twice means.
  public enum DuplicateKeys: Sendable {
    /// The last value counts, as in Python.
    case lastCounts
    /// The text is not valid.
    case refused
  }

  /// Reads one JSON value, with nothing but white space around it.
  ///
  /// - Parameters:
  ///   - text: the UTF-8 bytes.
  ///   - maximumDepth: how deep arrays and objects may nest.
  ///   - duplicateKeys: what to do where an object holds a key twice.
  /// - Throws: ``JSONError`` with line and column.
  public init(
    parsing text: some Collection<UInt8>, maximumDepth: Int = 128, duplicateKeys: DuplicateKeys = .lastCounts
  ) throws(JSONError) {
    let bytes = Array(text)
    self = try JSON.parse(bytes, maximumDepth: maximumDepth, duplicateKeys: duplicateKeys)
  }

  /// Reads one JSON value from a string.
  public init(parsing text: String, maximumDepth: Int = 128) throws(JSONError) {
    self = try JSON.parse(Array(text.utf8), maximumDepth: maximumDepth)
  }

  private static func parse(
    _ bytes: [UInt8], maximumDepth: Int, duplicateKeys: DuplicateKeys = .lastCounts
  ) throws(JSONError) -> JSON {
    var parser = JSONParser(bytes: bytes, maximumDepth: maximumDepth)
    parser.duplicateKeys = duplicateKeys
    let value = try parser.value(depth: 0)
    try parser.end()
    return value
  }
}

/// A recursive-descent reader over UTF-8 bytes.
///
/// Large files are read member by member where building a ``JSON`` of the whole would cost too much: `open`, then `key` and a
/// value, then `separator` until it is false.
struct JSONParser {
  let bytes: [UInt8]
  let maximumDepth: Int
  var duplicateKeys = JSON.DuplicateKeys.lastCounts
  var position = 0

  func error(_ problem: String, at place: Int? = nil) -> JSONError {
    let before = bytes[..<min(place ?? position, bytes.count)]
    let line = before.reduce(1) { $1 == 0x0A ? $0 + 1 : $0 }
    let start = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
    return JSONError(problem: problem, line: line, column: before.count - start + 1)
  }

  var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  init(bytes: [UInt8], maximumDepth: Int = 128) {
    self.bytes = bytes
    self.maximumDepth = maximumDepth
  }

  mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return
      }
    }
  }

  /// Makes sure that only white space is left.
  mutating func end() throws(JSONError) {
    skipSpace()
    guard position == bytes.count else { throw error("something follows the value") }
  }

  /// Steps over the opening bracket that `next` is at. False where the closing one follows, which is stepped over too.
  mutating func open(closing: UInt8) -> Bool {
    position += 1
    skipSpace()
    guard next == closing else { return true }
    position += 1
    return false
  }

  /// Steps over a colon after `key`.
  private mutating func colon(after key: @autoclosure () -> String) throws(JSONError) {
    skipSpace()
    guard next == UInt8(ascii: ":") else { throw error("expected “:” after the key “\(key())”") }
    position += 1
  }

  /// A key and the colon after it.
  mutating func key() throws(JSONError) -> String {
    skipSpace()
    guard next == UInt8(ascii: "\"") else { throw error("expected a key in quotes") }
    let key = try string()
    try colon(after: key)
    return key
  }

  /// The bytes of a key, appended to `text`, and the colon after it.
  mutating func key(into text: inout [UInt8]) throws(JSONError) {
    skipSpace()
    guard next == UInt8(ascii: "\"") else { throw error("expected a key in quotes") }
    let start = text.count
    try string(into: &text)
    try colon(after: String(decoding: text[start...], as: UTF8.self))
  }

  mutating func value(depth: Int) throws(JSONError) -> JSON {
    guard depth <= maximumDepth else { throw error("nested deeper than \(maximumDepth) levels") }
    skipSpace()
    guard let first = next else { throw error("the text ends where a value should stand") }
    switch first {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default: throw error("a value cannot start with “\(character(at: position))”")
    }
  }

  func character(at place: Int) -> String {
    guard let found = String(decoding: bytes[place..<min(place + 4, bytes.count)], as: UTF8.self).first else { return "" }
    // What steers a terminal, or cannot be seen, is named by its number.
    guard let scalar = found.unicodeScalars.first, scalar.properties.generalCategory == .control else { return String(found) }
    let digits = String(scalar.value, radix: 16, uppercase: true)
    return "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
  }

  mutating func word(_ text: StaticString, _ value: JSON) throws(JSONError) -> JSON {
    let count = text.utf8CodeUnitCount
    let matches = text.withUTF8Buffer { bytes.dropFirst(position).prefix(count).elementsEqual($0) }
    guard matches else { throw error("expected \(text)") }
    position += count
    return value
  }

  mutating func array(depth: Int) throws(JSONError) -> JSON {
    let bracket = UInt8(ascii: "]")
    var elements: [JSON] = []
    var isOpen = open(closing: bracket)
    while isOpen {
      elements.append(try value(depth: depth + 1))
      isOpen = try separator(closing: bracket)
    }
    return .array(elements)
  }

  mutating func object(depth: Int) throws(JSONError) -> JSON {
    let brace = UInt8(ascii: "}")
    var members = OrderedDictionary<String, JSON>()
    var isOpen = open(closing: brace)
    while isOpen {
      skipSpace()
      let start = position
      let key = try key()
      if duplicateKeys == .refused, members[key] != nil { throw error("the key “\(key)” comes twice", at: start) }
      members[key] = try value(depth: depth + 1)
      isOpen = try separator(closing: brace)
    }
    return .object(members)
  }

  /// True after a comma, false after the closing bracket.
  mutating func separator(closing: UInt8) throws(JSONError) -> Bool {
    skipSpace()
    guard let found = next else { throw error("the text ends inside an array or object") }
    guard found == UInt8(ascii: ",") || found == closing else {
      throw error("expected “,” or “\(Character(UnicodeScalar(closing)))”, found “\(character(at: position))”")
    }
    position += 1
    return found != closing
  }

  mutating func number() throws(JSONError) -> JSON {
    let start = position
    if next == UInt8(ascii: "-") { position += 1 }
    let leading = position
    let whole = digits()
    guard whole > 0, whole == 1 || bytes[leading] != UInt8(ascii: "0") else { throw error("not a number", at: start) }
    var isInteger = true
    if next == UInt8(ascii: ".") {
      position += 1
      isInteger = false
      guard digits() > 0 else { throw error("a digit must follow the decimal point") }
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      position += 1
      isInteger = false
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
      guard digits() > 0 else { throw error("a digit must follow the exponent") }
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isInteger, let value = Int(text) { return .int(value) }
    guard let value = Double(text), value.isFinite else { throw error("the number \(text) is out of range", at: start) }
    return .double(value)
  }

  mutating func digits() -> Int {
    let start = position
    while let digit = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) { position += 1 }
    return position - start
  }

  mutating func string() throws(JSONError) -> String {
    let start = position
    var text: [UInt8] = []
    try string(into: &text)
    guard let valid = String(validating: text, as: UTF8.self) else { throw error("the string is not UTF-8", at: start) }
    return valid
  }

  /// The bytes of the string that `next` is at, appended to `text`: escapes resolved, not checked to be UTF-8.
  mutating func string(into text: inout [UInt8]) throws(JSONError) {
    let start = position
    position += 1
    var run = position
    while position < bytes.count {
      let byte = bytes[position]
      if byte == UInt8(ascii: "\"") {
        text.append(contentsOf: bytes[run..<position])
        position += 1
        return
      }
      if byte == UInt8(ascii: "\\") {
        text.append(contentsOf: bytes[run..<position])
        position += 1
        try escape(into: &text)
        run = position
      } else {
        guard byte >= 0x20 else { throw error("a control character inside a string must be escaped") }
        position += 1
      }
    }
    throw error("the string that starts here is not closed", at: start)
  }

  mutating func escape(into text: inout [UInt8]) throws(JSONError) {
    guard let kind = next else { throw error("the text ends inside an escape") }
    position += 1
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(kind)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"): text.append(contentsOf: UTF8.encode(try unicode()) ?? UTF8.encodedReplacementCharacter)
    default: throw error("unknown escape “\\\(Character(UnicodeScalar(kind)))”", at: position - 1)
    }
  }

  /// A `\uXXXX` escape, with its second half where it is a surrogate. A lone surrogate becomes U+FFFD.
  mutating func unicode() throws(JSONError) -> UnicodeScalar {
    let replacement = UnicodeScalar(0xFFFD as UInt16)!
    let high = try hexadecimal()
    if let scalar = UnicodeScalar(high) { return scalar }
    guard high < 0xDC00, bytes.dropFirst(position).prefix(2).elementsEqual("\\u".utf8) else { return replacement }
    let before = position
    position += 2
    let low = try hexadecimal()
    guard (0xDC00..<0xE000).contains(low) else {
      position = before
      return replacement
    }
    return UnicodeScalar(0x10000 + (UInt32(high) - 0xD800) << 10 + (UInt32(low) - 0xDC00)) ?? replacement
  }

  mutating func hexadecimal() throws(JSONError) -> UInt16 {
    guard position + 4 <= bytes.count else { throw error("four hexadecimal digits must follow \\u") }
    var value: UInt16 = 0
    for byte in bytes[position..<position + 4] {
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
      default: throw error("four hexadecimal digits must follow \\u")
      }
      value = value << 4 | UInt16(digit)
    }
    position += 4
    return value
  }
}
