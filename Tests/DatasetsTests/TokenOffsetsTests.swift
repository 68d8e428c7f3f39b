import Testing
import Text

@Suite struct TokenOffsetsTests {
  private let base = ByteTokenizer(merges: ["t h", "th e", "Ġ the", "l l"])

  @Test func offsetsAreWhereTokensBegin() throws {
    let (ids, offsets) = try base.encodeWithOffsets("the all the<|im_end|>é")
    #expect(ids.map { base.token(of: $0) ?? "" }.prefix(6) == ["the", " ", "a", "ll", " the", "<|im_end|>"])
    #expect(offsets == [0, 3, 4, 5, 7, 11, 21, 22])
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
