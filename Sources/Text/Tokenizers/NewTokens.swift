/// A token that a vocabulary is grown by.
public struct NewToken: Sendable, Hashable {
  /// The text that becomes this token wherever it stands.
  public var content: String
  /// Whether decoding leaves it out where special tokens are left out.
  public var isSpecial: Bool

  /// A token by its text.
  public init(_ content: String, isSpecial: Bool = false) { (self.content, self.isSpecial) = (content, isSpecial) }
}

/// A `tokenizer.json` to which tokens are added, as `add_tokens` of transformers does.
public enum GrownTokenizer {
  /// The bytes of the file with the tokens at the end of `added_tokens`; the rest stays as it is, byte by byte.
  ///
  /// - Parameters:
  ///   - tokens: the new tokens, in the order of their ids.
  ///   - tokenizerJSON: the file's bytes.
  ///   - firstID: the id of the first of them.
  /// - Throws: ``TokenizerError`` where the file is no JSON object.
  public static func json(
    adding tokens: [NewToken], to tokenizerJSON: [UInt8], firstID: Int
  ) throws(TokenizerError) -> [UInt8] {
    let entries = tokens.enumerated().map { place, token in
      // What is special is looked for in the text as it came, the rest in the normalized one: the defaults of transformers.
      AddedToken(
        id: Int32(clamping: firstID + place), content: token.content, isSpecial: token.isSpecial, isNormalized: !token.isSpecial
      )
      .json.text(.python)
    }
    let list = entries.joined(separator: ", ")
    do throws(JSONError) {
      let place = try insertion(tokenizerJSON)
      return tokenizerJSON[..<place.range.lowerBound] + Array((place.before + list + place.after).utf8)
        + tokenizerJSON[place.range.upperBound...]
    } catch {
      throw TokenizerError("tokenizer.json", "", "\(error)")
    }
  }

  /// What the entries take the place of, and what has to stand around them there.
  private static func insertion(
    _ bytes: [UInt8]
  ) throws(JSONError) -> (range: Range<Int>, before: String, after: String) {
    var parser = JSONParser(bytes: bytes)
    parser.skipSpace()
    guard parser.next == UInt8(ascii: "{") else { throw parser.error("expected an object") }
    let start = parser.position + 1
    var isOpen = parser.open(closing: UInt8(ascii: "}"))
    let isEmpty = !isOpen
    while isOpen {
      let key = try parser.key()
      parser.skipSpace()
      let begin = parser.position
      let value = try parser.value(depth: 1)
      if key == "added_tokens" {
        guard let list = value.array else { return (begin..<parser.position, "[", "]") }
        // The bracket that closes the list is the last byte read.
        let end = parser.position - 1
        return (end..<end, list.isEmpty ? "" : ", ", "")
      }
      isOpen = try parser.separator(closing: UInt8(ascii: "}"))
    }
    return (start..<start, "\"added_tokens\": [", isEmpty ? "]" : "], ")
  }
}
