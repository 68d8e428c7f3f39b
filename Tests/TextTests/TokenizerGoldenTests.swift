import Testing

@testable import Text

@Suite struct TokenizerGoldenTests {
  @Test(arguments: TokenizerGolden.names)
  func idsEqualTheReference(_ name: String) throws {
    let tokenizer = try TokenizerGolden.tokenizer(name)
    for item in try TokenizerGolden(name).texts {
      #expect(tokenizer.encode(item.text, addSpecialTokens: true) == item.ids, "\(name): \(item.text.debugDescription)")
      #expect(tokenizer.encode(item.text, addSpecialTokens: false) == item.plain, "\(name): \(item.text.debugDescription)")
    }
  }

  @Test(arguments: TokenizerGolden.names)
  func textsEqualTheReference(_ name: String) throws {
    let tokenizer = try TokenizerGolden.tokenizer(name)
    let golden = try TokenizerGolden(name)
    let cases = golden.texts.map { ($0.ids, $0.decoded, $0.skipped) } + golden.decodes.map { ($0.ids, $0.decoded, $0.skipped) }
    for (ids, decoded, skipped) in cases {
      #expect(tokenizer.decode(ids, skipSpecialTokens: false).scalarValues == decoded.scalarValues, "\(name): \(ids)")
      #expect(tokenizer.decode(ids, skipSpecialTokens: true).scalarValues == skipped.scalarValues, "\(name): \(ids)")
    }
  }

  @Test(arguments: TokenizerGolden.names)
  func streamingGivesTheSameTextInWholeCharacters(_ name: String) throws {
    let tokenizer = try TokenizerGolden.tokenizer(name)
    let golden = try TokenizerGolden(name)
    for ids in golden.texts.map(\.ids) + golden.decodes.map(\.ids) {
      var decoder = tokenizer.streamingDecoder(skipSpecialTokens: false)
      var text = ids.map { decoder.push($0) }.joined()
      text += decoder.finish()
      #expect(text.scalarValues == tokenizer.decode(ids, skipSpecialTokens: false).scalarValues, "\(name): \(ids)")
    }
  }
}
