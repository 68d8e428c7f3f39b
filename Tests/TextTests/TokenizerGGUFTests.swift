import OrderedCollections
import Testing

@testable import Text

@Suite struct TokenizerGGUFTests {
  @Test func sentencePieceIDsEqualTheReference() throws {
    let golden = try JSON(parsing: TokenizerGolden.bytes("sentencepiece.json"))
    let tokenizer = try BPETokenizer(try vocabulary(sentencePiece: golden))
    let cases = try #require(golden["texts"]?.array)
    #expect(cases.count > 80)
    for item in cases {
      let (text, ids) = (try #require(item["text"]?.string), try #require(item["ids"]?.ids))
      #expect(tokenizer.encode(text, addSpecialTokens: false) == ids, "\(text.debugDescription)")
      #expect(tokenizer.encode(text, addSpecialTokens: true) == [1] + ids)
      #expect(tokenizer.decode(ids, skipSpecialTokens: false) == text.replacing("▁", with: " "))
    }
    #expect(tokenizer.special == SpecialTokens(bos: "<s>", eos: "</s>", unk: "<unk>"))
    #expect(tokenizer.encode("<s>", addSpecialTokens: false) == [1])
    #expect(tokenizer.bytes(of: try #require(tokenizer.id(of: "<0x0A>"))) == [0x0A])
    #expect(tokenizer.bytes(of: try #require(tokenizer.id(of: "▁t"))) == Array(" t".utf8))
  }

  private func vocabulary(sentencePiece golden: JSON) throws -> GGUFVocabulary {
    let vocabulary = try #require(golden["vocabulary"])
    return GGUFVocabulary(
      model: "llama", tokens: try #require(vocabulary["tokens"]?.array).compactMap(\.string),
      scores: try #require(vocabulary["scores"]?.array).compactMap(\.double).map { Float($0) },
      types: try #require(vocabulary["types"]?.ids))
  }

  /// The vocabulary of a golden `tokenizer.json` as a GGUF file would carry it.
  private func vocabulary(of name: String, pre: String?) throws -> GGUFVocabulary {
    let json = try JSON(parsing: TokenizerGolden.bytes("\(name)/tokenizer.json"))
    var entries = try #require(json["model"]?["vocab"]?.object).elements.compactMap { key, id in id.int.map { (key, $0) } }
    var types = Array(repeating: Int32(1), count: entries.count)
    for token in json["added_tokens"]?.array ?? [] {
      guard let content = token["content"]?.string, let id = token["id"]?.int else { continue }
      if id >= entries.count {
        entries.append((content, id))
        types.append(3)
      } else {
        types[id] = 3
      }
    }
    let merges = (json["model"]?["merges"]?.array ?? []).compactMap { merge in
      merge.string ?? merge.array?.compactMap(\.string).joined(separator: " ")
    }
    let tokens = entries.sorted { $0.1 < $1.1 }.map(\.0)
    return GGUFVocabulary(model: "gpt2", pre: pre, tokens: tokens, types: types, merges: merges, addBOS: false)
  }

  @Test(arguments: [
    ("gpt2", "gpt-2"), ("llama3", "llama-bpe"), ("qwen2", "qwen2"), ("smollm2", "smollm"), ("deepseek", "deepseek-v3"),
  ])
  func byteLevelIDsEqualTheReference(_ name: String, _ pre: String) throws {
    let tokenizer = try BPETokenizer(vocabulary(of: name, pre: pre))
    // Added tokens that are not special are of another kind there: a GGUF file has no place for stripping.
    for item in try TokenizerGolden(name).texts where name != "qwen2" || !item.text.contains("tool_call") {
      #expect(tokenizer.encode(item.text, addSpecialTokens: false) == item.plain, "\(item.text.debugDescription)")
    }
  }

  @Test(arguments: [
    "gpt-2", "llama3", "qwen2", "qwen35", "smollm", "deepseek-llm", "deepseek-coder", "deepseek-v3", "gpt-4o", "tekken", "falcon",
    "default",
  ])
  func everyPatternKeepsTheText(_ pre: String) throws {
    let tokenizer = try BPETokenizer(vocabulary(of: "gpt2", pre: pre))
    for item in try TokenizerGolden("gpt2").texts where !item.text.unicodeScalars.contains(where: { $0.value >= 0x300 }) {
      #expect(tokenizer.decode(tokenizer.encode(item.text, addSpecialTokens: false), skipSpecialTokens: false) == item.text)
    }
  }

  @Test func addsWhatTheFileAsksFor() throws {
    var vocabulary = try vocabulary(of: "smollm2", pre: "smollm")
    (vocabulary.bosID, vocabulary.eosID, vocabulary.padID, vocabulary.addBOS, vocabulary.addEOS) = (1, 2, 2, true, true)
    let tokenizer = try BPETokenizer(vocabulary)
    let plain = tokenizer.encode("hi", addSpecialTokens: false)
    #expect(tokenizer.encode("hi", addSpecialTokens: true) == [1] + plain + [2])
    #expect(tokenizer.special == SpecialTokens(bos: "<|im_start|>", eos: "<|im_end|>", pad: "<|im_end|>"))
    #expect(tokenizer.decode([1] + plain + [2], skipSpecialTokens: true) == "hi")
  }

  @Test func refusesWithTheKey() throws {
    let good = try vocabulary(of: "smollm2", pre: "smollm")
    let pieces = try vocabulary(sentencePiece: JSON(parsing: TokenizerGolden.bytes("sentencepiece.json")))
    func expect(_ vocabulary: GGUFVocabulary, _ reason: String, _ change: (inout GGUFVocabulary) -> Void) {
      var vocabulary = vocabulary
      change(&vocabulary)
      #expect { try BPETokenizer(vocabulary) } throws: { "\($0)".contains(reason) }
    }
    expect(good, "tokenizer.ggml.pre: the splitting pattern “martian”") { $0.pre = "martian" }
    expect(good, "tokenizer.ggml.model: the model “bert”") { $0.model = "bert" }
    expect(good, "tokenizer.ggml.merges[0]: “zzqq” is not in the vocabulary") { $0.merges = ["zz qq"] }
    expect(good, "tokenizer.ggml.merges[0]") { $0.merges = ["ab"] }
    expect(good, "tokenizer.ggml.tokens[5]: ") { $0.tokens[5] = $0.tokens[4] }
    expect(good, "tokenizer.ggml.token_type: 3 types") { $0.types = [1, 1, 1] }
    expect(good, "tokenizer.ggml.bos_token_id: -1") { $0.bosID = -1 }
    expect(good, "tokenizer.ggml.eos_token_id: the id is missing") { $0.addEOS = true }
    expect(good, "tokenizer.ggml.tokens: 0 tokens") { $0.tokens = [] }
    expect(pieces, "tokenizer.ggml.scores: 0 scores for") { $0.scores = [] }
    expect(pieces, "tokenizer.ggml.scores[7]: ") { $0.scores[7] = .nan }
    expect(pieces, "tokenizer.ggml.unknown_token_id: 9000") { $0.unkID = 9000 }
  }
}
