import Text

/// Finds where the elements of a JSON array begin and end, without parsing them.
struct JSONElementScanner {
  /// A member of the outermost object.
  struct Member {
    let key: String
    let isArray: Bool
    fileprivate let position: Int
    fileprivate let line: Int
  }

  let path: String
  private let bytes: UnsafeRawBufferPointer
  private var position = 0
  private var line = 1

  init(bytes: UnsafeRawBufferPointer, path: String) {
    self.bytes = bytes
    self.path = path
  }

  /// The byte at hand; nil at the end.
  var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private var location: SourceLocation { SourceLocation(file: path, line: line) }

  /// Goes back, or on, to the value of a member.
  mutating func move(to member: Member) {
    position = member.position
    line = member.line
  }

  /// The bytes between this place and a later one as a row.
  func row(upTo end: JSONElementScanner) -> RawRow {
    guard end.position - position <= RawRow.byteLimit else {
      return .broken(
        location, "has more than \(RawRow.byteLimit) bytes", cure: "Check that its strings and brackets are closed")
    }
    return RawRow(location: location, payload: .json(Array(bytes[position..<end.position])))
  }

  mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { advance() }
  }

  private mutating func advance() {
    if bytes[position] == 0x0A { line += 1 }
    position += 1
  }

  /// Steps over a string. False where it is not closed.
  private mutating func skipString() -> Bool {
    advance()
    while let byte = next {
      advance()
      if byte == UInt8(ascii: "\"") { return true }
      if byte == UInt8(ascii: "\\"), next != nil { advance() }
    }
    return false
  }

  /// Steps over one value, counting brackets. False where the text ends inside it.
  private mutating func skipValue() -> Bool {
    var depth = 0
    while let byte = next {
      switch byte {
      case UInt8(ascii: "\""):
        if !skipString() { return false }
      case UInt8(ascii: "["), UInt8(ascii: "{"):
        depth += 1
        advance()
      case UInt8(ascii: "]"), UInt8(ascii: "}"):
        if depth == 0 { return true }
        depth -= 1
        advance()
      case UInt8(ascii: ","), UInt8(ascii: ":"):
        if depth == 0 { return true }
        advance()
        continue
      default:
        advance()
        continue
      }
      if depth == 0 { return true }
    }
    return depth == 0
  }

  /// The members of the object at hand; empty where it is not well formed, which parsing it will then say.
  mutating func members() -> [Member] {
    var members: [Member] = []
    advance()
    while true {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { break }
      let start = position
      guard skipString(), let key = try? JSON(parsing: bytes[start..<position]).string else { break }
      skipSpace()
      guard next == UInt8(ascii: ":") else { break }
      advance()
      skipSpace()
      members.append(Member(key: key, isArray: next == UInt8(ascii: "["), position: position, line: line))
      guard skipValue() else { break }
      skipSpace()
      guard next == UInt8(ascii: ",") else { break }
      advance()
    }
    if next == UInt8(ascii: "}") {
      advance()
      return members
    }
    position = bytes.count
    return []
  }

  /// Hands every element of the array at hand to `body`.
  ///
  /// A place where the array is damaged becomes one broken row, since what follows cannot be told apart.
  mutating func elements(of key: String?, _ body: (RawRow) throws -> Void) throws {
    guard next == UInt8(ascii: "[") else {
      let found = next == nil ? "the file is empty" : "neither an array nor an object stands at the start"
      try body(.broken(location, found, cure: "Write an array of objects, or JSON lines"))
      return
    }
    advance()
    skipSpace()
    if next == UInt8(ascii: "]") { return }
    while true {
      skipSpace()
      let start = self
      guard skipValue() else {
        try body(.broken(start.location, "is cut off: the file ends inside this row", cure: "Get the whole file again"))
        return
      }
      try body(start.row(upTo: self))
      skipSpace()
      switch next {
      case UInt8(ascii: ","): advance()
      case UInt8(ascii: "]"): return
      default:
        let where_ = key.map { " of the array “\($0)”" } ?? ""
        let problem = next == nil ? "the file ends inside the array" : "a “,” or “]” should follow the row"
        try body(.broken(location, problem + where_, cure: "Correct the JSON here"))
        return
      }
    }
  }
}
