import OrderedCollections
import Testing

@testable import Text

@Suite struct TokenizerConfigurationTests {
  private func tokenizer(_ configuration: String, keepsPostProcessor: Bool = false) throws -> BPETokenizer {
    var bytes = try TokenizerGolden.bytes("llama2/tokenizer.json")
    if !keepsPostProcessor, case .object(var members) = try JSON(parsing: bytes) {
      members["post_processor"] = .null
      bytes = Array(JSON.object(members).text().utf8)
    }
    return try BPETokenizer(tokenizerJSON: bytes, configJSON: Array(configuration.utf8))
  }

  @Test func readsTokensAsStringsAndObjects() throws {
    let tokenizer = try tokenizer(
      #"{"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "pad_token": null, "unk_token": "<unk>"}"#)
    #expect(tokenizer.special == SpecialTokens(bos: "<s>", eos: "</s>", unk: "<unk>"))
  }

  @Test func flagsCountWhereThereIsNoPostProcessor() throws {
    let text = #"{"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true, "add_eos_token": true}"#
    let plain = try tokenizer(text).encode("hi", addSpecialTokens: false)
    #expect(try tokenizer(text).encode("hi", addSpecialTokens: true) == [1] + plain + [2])
    #expect(try tokenizer(text, keepsPostProcessor: true).encode("hi", addSpecialTokens: true) == [1] + plain)
    #expect(try tokenizer(#"{"bos_token": "<s>"}"#).encode("hi", addSpecialTokens: true) == plain)
  }

  @Test(arguments: [
    (#"{"bos_token": 1}"#, "tokenizer_config.json: bos_token: expected a string"),
    (#"{"bos_token": "<x>", "add_bos_token": true}"#, "bos_token: “<x>” is not in the vocabulary"),
    (#"{"add_bos_token": "yes"}"#, "add_bos_token: expected true or false"), ("[]", "expected an object"),
    ("{", "not valid JSON"),
  ])
  func refusesWithTheKey(_ configuration: String, _ reason: String) {
    #expect { try tokenizer(configuration) } throws: { "\($0)".contains(reason) }
  }

  @Test func namesAndBytesOfTokens() throws {
    let tokenizer = try TokenizerGolden.tokenizer("gpt2")
    let end = try #require(tokenizer.id(of: "<|endoftext|>"))
    #expect(tokenizer.isSpecial(end) && tokenizer.token(of: end) == "<|endoftext|>" && tokenizer.vocabularySize == Int(end) + 1)
    #expect(tokenizer.bytes(of: try #require(tokenizer.id(of: "Ġ"))) == [0x20])
    #expect(tokenizer.token(of: -1) == nil && tokenizer.token(of: 1_000_000) == nil && tokenizer.bytes(of: 1_000_000).isEmpty)
    #expect(tokenizer.decode([1_000_000], skipSpecialTokens: false) == "\u{FFFD}")
    #expect(tokenizer.id(of: "no such token") == nil && !tokenizer.isSpecial(0))
  }

  @Test func streamingHoldsBackHalfACharacter() throws {
    let tokenizer = try TokenizerGolden.tokenizer("gpt2")
    let ids = "\u{1D518}".utf8.compactMap { tokenizer.id(of: String(ByteAlphabet.scalars[Int($0)])) }
    var decoder = tokenizer.streamingDecoder(skipSpecialTokens: false)
    #expect(ids.map { decoder.push($0) } == ["", "", "", "\u{1D518}"])
    #expect(ids.prefix(2).map { decoder.push($0) } == ["", ""])
    #expect(decoder.finish() == "\u{FFFD}")
    #expect(decoder.push(ids[0]) == "" && decoder.finish() == "\u{FFFD}")
  }
}
