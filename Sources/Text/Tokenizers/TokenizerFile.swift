import OrderedCollections

/// The content of a `tokenizer.json`: the vocabulary and the merges as flat bytes, everything else as JSON.
///
/// A vocabulary of 150,000 entries is read four times as fast as through ``JSON``, and its keys stay apart where `String` would
/// take them for equal.
struct TokenizerFile {
  /// Strings end to end.
  struct StringList {
    var bytes: [UInt8] = []
    var ends: [Int] = []

    var count: Int { ends.count }

    subscript(index: Int) -> ArraySlice<UInt8> { bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]] }
  }

  /// Everything but the vocabulary and the merges.
  private(set) var members: OrderedDictionary<String, JSON> = [:]
  /// The spellings of the vocabulary, in the file's order.
  private(set) var spellings = StringList()
  /// The id of each spelling.
  private(set) var ids: [JSON] = []
  /// The two sides of each merge, one after the other.
  private(set) var merges = StringList()
  /// The first merge that is not a pair of pieces.
  private(set) var malformedMerge: Int?
  private(set) var hasVocabulary = false

  init(_ bytes: [UInt8]) throws(JSONError) {
    var parser = JSONParser(bytes: bytes)
    guard String(validating: bytes, as: UTF8.self) != nil else { throw parser.error("the file is not UTF-8") }
    parser.skipSpace()
    guard parser.next == UInt8(ascii: "{") else { throw parser.error("expected an object") }
    members = try object(&parser) { file, key, parser throws(JSONError) in
      guard key == "model", parser.next == UInt8(ascii: "{") else { return try parser.value(depth: 1) }
      return .object(
        try file.object(&parser) { file, key, parser throws(JSONError) in try file.modelMember(key, &parser) })
    }
    try parser.end()
  }

  private mutating func object(
    _ parser: inout JSONParser, _ member: (inout TokenizerFile, String, inout JSONParser) throws(JSONError) -> JSON
  ) throws(JSONError) -> OrderedDictionary<String, JSON> {
    var members = OrderedDictionary<String, JSON>()
    var isOpen = parser.open(closing: UInt8(ascii: "}"))
    while isOpen {
      let key = try parser.key()
      parser.skipSpace()
      members[key] = try member(&self, key, &parser)
      isOpen = try parser.separator(closing: UInt8(ascii: "}"))
    }
    return members
  }

  private mutating func modelMember(_ key: String, _ parser: inout JSONParser) throws(JSONError) -> JSON {
    if key == "vocab", parser.next == UInt8(ascii: "{") {
      try readVocabulary(&parser)
      return .null
    }
    if key == "merges", parser.next == UInt8(ascii: "[") {
      try readMerges(&parser)
      return .null
    }
    return try parser.value(depth: 2)
  }

  private mutating func readVocabulary(_ parser: inout JSONParser) throws(JSONError) {
    hasVocabulary = true
    (spellings, ids) = (StringList(), [])
    var isOpen = parser.open(closing: UInt8(ascii: "}"))
    while isOpen {
      try parser.key(into: &spellings.bytes)
      spellings.ends.append(spellings.bytes.count)
      ids.append(try parser.value(depth: 3))
      isOpen = try parser.separator(closing: UInt8(ascii: "}"))
    }
  }

  private mutating func readMerges(_ parser: inout JSONParser) throws(JSONError) {
    (merges, malformedMerge) = (StringList(), nil)
    let bracket = UInt8(ascii: "]")
    var isOpen = parser.open(closing: bracket)
    while isOpen {
      parser.skipSpace()
      switch parser.next {
      case UInt8(ascii: "\""): try readSpacedMerge(&parser)
      case UInt8(ascii: "["): try readPairedMerge(&parser)
      default:
        noteMalformedMerge()
        _ = try parser.value(depth: 3)
      }
      isOpen = try parser.separator(closing: bracket)
    }
  }

  private mutating func noteMalformedMerge() {
    if malformedMerge == nil { malformedMerge = merges.count / 2 }
  }

  /// `"a b"`. Older files begin with a line `#version …`, which is no merge.
  private mutating func readSpacedMerge(_ parser: inout JSONParser) throws(JSONError) {
    let start = merges.bytes.count
    try parser.string(into: &merges.bytes)
    // No slice of the bytes is kept: changing them under it would copy them all.
    let isVersion = merges.bytes[start...].starts(with: "#version".utf8)
    let space = merges.bytes[start...].firstIndex(of: 0x20)
    let lastSpace = merges.bytes[start...].lastIndex(of: 0x20)
    guard !isVersion, let space, space == lastSpace else {
      merges.bytes.removeSubrange(start...)
      if !isVersion { noteMalformedMerge() }
      return
    }
    merges.bytes.remove(at: space)
    merges.ends.append(space)
    merges.ends.append(merges.bytes.count)
  }

  /// `["a", "b"]`.
  private mutating func readPairedMerge(_ parser: inout JSONParser) throws(JSONError) {
    let (start, count) = (merges.bytes.count, merges.ends.count)
    var isOpen = parser.open(closing: UInt8(ascii: "]"))
    while isOpen {
      parser.skipSpace()
      if parser.next == UInt8(ascii: "\"") {
        try parser.string(into: &merges.bytes)
        merges.ends.append(merges.bytes.count)
      } else {
        _ = try parser.value(depth: 4)
      }
      isOpen = try parser.separator(closing: UInt8(ascii: "]"))
    }
    guard merges.ends.count == count + 2 else {
      merges.bytes.removeSubrange(start...)
      merges.ends.removeSubrange(count...)
      return noteMalformedMerge()
    }
  }
}
