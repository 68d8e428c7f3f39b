import Testing
import Text

@Suite struct TokenOffsetsTests {
  private let base = ByteTokenizer(merges: ["t h", "th e", "Ġ the", "l l"])

  @Test func offsetsAreWhereTokensBegin() throws {
    let (ids, offsets) = try base.encodeWithOffsets("the all the<|im_end|>é")
    #expect(ids.map { base.token(of: $0) ?? "" }.prefix(6) == ["the", " ", "a", "ll", " the", "<|im_end|>"])
    #expect(offsets == [0, 3, 4, 5, 7, 11, 21, 22])
  }

  /// The hard texts of the tokenizers' own tests: only Qwen2, which composes characters, fails to spell two of them.
  @Test(arguments: [
    ("gpt2", 0), ("llama3", 0), ("qwen2", 2), ("smollm2", 0), ("llama2", 0), ("mistral", 0), ("metaspace-always", 0),
    ("gemma", 0),
    ("deepseek", 0), ("possessive", 0), ("han", 0),
  ])
  func realTokenizersSpellTheirTexts(_ family: String, _ failures: Int) throws {
    let tokenizer = try BPETokenizer(tokenizerJSON: goldenBytes("tokenizers/\(family)/tokenizer.json"))
    let cases = try JSON(parsing: goldenBytes("tokenizers/\(family)/cases.json"))["texts"]?.array ?? []
    #expect(cases.count > 100)
    var failed = 0
    for text in cases.compactMap({ $0["text"]?.string }) {
      guard let (ids, offsets) = try? tokenizer.encodeWithOffsets(text) else {
        failed += 1
        continue
      }
      #expect(ids == tokenizer.encode(text, addSpecialTokens: false) && offsets.count == ids.count)
      #expect(zip(offsets, offsets.dropFirst()).allSatisfy { $0 <= $1 } && offsets.last ?? 0 <= text.utf8.count)
    }
    #expect(failed == failures)
  }

  /// A tokenizer's own table of pieces gives what asking for each piece gives.
  @Test(arguments: ["gpt2", "llama3", "qwen2", "smollm2", "llama2", "mistral", "metaspace-always", "gemma", "added-tokens"])
  func theTableOfPiecesIsThePieces(_ family: String) throws {
    let tokenizer = try BPETokenizer(tokenizerJSON: goldenBytes("tokenizers/\(family)/tokenizer.json"))
    let plain = PlainTokenizer(base: tokenizer)
    let cases = try JSON(parsing: goldenBytes("tokenizers/\(family)/cases.json"))["texts"]?.array ?? []
    #expect(!cases.isEmpty)
    for text in cases.compactMap({ $0["text"]?.string }) {
      let own = Result { () throws(OffsetMismatch) in try tokenizer.encodeWithOffsets(text).offsets }
      let asked = Result { () throws(OffsetMismatch) in try plain.encodeWithOffsets(text).offsets }
      #expect(own == asked)
    }
  }

  @Test func aSpaceInFrontIsAllowed() throws {
    for text in ["the all", " the", "", " "] {
      let (_, offsets) = try RewritingTokenizer(base: base, habit: .prefixesSpace).encodeWithOffsets(text)
      #expect(offsets.first == 0)
      #expect(offsets.allSatisfy { $0 <= text.utf8.count })
    }
    #expect(try RewritingTokenizer(base: base, habit: .prefixesSpace).encodeWithOffsets("the all").offsets == [0, 3, 4, 5])
  }

  @Test func swallowedSpaceBehindASpecialTokenIsAllowed() throws {
    let swallowing = RewritingTokenizer(base: base, habit: .swallowsSpaceAfterSpecial)
    #expect(try swallowing.encodeWithOffsets("a<|im_end|>\nb<|im_end|>\n").offsets == [0, 1, 12, 13])
  }

  @Test func aTokenizerThatRewritesIsFoundOut() {
    let lowercasing = RewritingTokenizer(base: base, habit: .lowercases)
    #expect(throws: OffsetMismatch.self) { try lowercasing.encodeWithOffsets("a The") }
    #expect(complaint { _ = try lowercasing.encodeWithOffsets("a The") } == "token 1 does not spell the text at byte 1")
  }
}

/// A tokenizer without a way of its own to find offsets.
private struct PlainTokenizer: Tokenizer {
  let base: BPETokenizer

  var vocabularySize: Int { base.vocabularySize }
  var special: SpecialTokens { base.special }
  func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] { base.encode(text, addSpecialTokens: addSpecialTokens) }
  func decode(_ ids: some Sequence<Int32>, skipSpecialTokens: Bool) -> String {
    base.decode(ids, skipSpecialTokens: skipSpecialTokens)
  }
  func id(of token: String) -> Int32? { base.id(of: token) }
  func token(of id: Int32) -> String? { base.token(of: id) }
  func bytes(of id: Int32) -> [UInt8] { base.bytes(of: id) }
  func isSpecial(_ id: Int32) -> Bool { base.isSpecial(id) }
  func streamingDecoder(skipSpecialTokens: Bool) -> StreamingDecoder {
    base.streamingDecoder(skipSpecialTokens: skipSpecialTokens)
  }
}
