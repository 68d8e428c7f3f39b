import OrderedCollections
import Testing

@testable import Text

/// Tokens added to a `tokenizer.json`, against what Hugging Face `tokenizers` makes of the same texts after adding them.
@Suite struct NewTokensTests {
  private let golden: JSON

  init() throws { golden = try JSON(parsing: TokenizerGolden.bytes("new-tokens.json")) }

  private func tokens() -> [NewToken] {
    (golden["tokens"]?.array ?? []).map { NewToken($0["content"]?.string ?? "", isSpecial: $0["special"]?.bool == true) }
  }

  @Test func idsEqualTheReference() throws {
    let families = try #require(golden["families"]?.object)
    #expect(families.count == 9 && tokens().count == 5)
    for (name, cases) in families {
      let bytes = try TokenizerGolden.bytes("\(name)/tokenizer.json")
      let old = try BPETokenizer(tokenizerJSON: bytes)
      let grown = try BPETokenizer(
        tokenizerJSON: GrownTokenizer.json(adding: tokens(), to: bytes, firstID: old.vocabularySize))
      #expect(grown.vocabularySize == old.vocabularySize + 5, "\(name)")
      for item in try #require(cases.array) {
        let (text, ids) = (try #require(item["text"]?.string), try #require(item["ids"]?.ids))
        #expect(grown.encode(text, addSpecialTokens: true) == ids, "\(name): \(text.debugDescription)")
        let skipped = try #require(item["skipped"]?.string)
        #expect(grown.decode(ids, skipSpecialTokens: true).scalarValues == skipped.scalarValues, "\(name): \(ids)")
      }
    }
  }

  @Test(arguments: [
    (#"{"a": 1}"#, #"{"added_tokens": [ENTRY], "a": 1}"#), ("{}", #"{"added_tokens": [ENTRY]}"#),
    (#" {"added_tokens": [], "b": {}} "#, #" {"added_tokens": [ENTRY], "b": {}} "#),
    (#"{"added_tokens" : null}"#, #"{"added_tokens" : [ENTRY]}"#),
    (#"{"x": "added_tokens", "added_tokens": [{"id": 0}]}"#, #"{"x": "added_tokens", "added_tokens": [{"id": 0}, ENTRY]}"#),
  ])
  func theRestOfTheFileStays(_ file: String, _ expected: String) throws {
    let entry =
      #"{"id": 7, "content": "é\"", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false}"#
    let bytes = try GrownTokenizer.json(adding: [NewToken("é\"")], to: Array(file.utf8), firstID: 7)
    let text = String(decoding: bytes, as: UTF8.self)
    #expect(text == expected.replacing("ENTRY", with: entry))
  }

  @Test(arguments: ["", "[]", "{", #"{"added_tokens": [}"#, "7"])
  func whatIsNoObjectIsRefused(_ file: String) {
    #expect(throws: TokenizerError.self) {
      try GrownTokenizer.json(adding: [NewToken("a")], to: Array(file.utf8), firstID: 0)
    }
  }
}
