import OrderedCollections
import Testing

@testable import Text

/// A `tokenizer.json` made from a GGUF vocabulary against what Hugging Face `tokenizers` gives for the model's own.
@Suite struct ExportedTokenizerTests {
  static let families = [("smollm2", "smollm"), ("llama3", "llama-bpe"), ("qwen2", "qwen2"), ("gpt2", "gpt-2")]

  /// The vocabulary of a golden tokenizer as a GGUF file would carry it.
  private func vocabulary(_ name: String, pre: String) throws -> GGUFVocabulary {
    let json = try JSON(parsing: TokenizerGolden.bytes("\(name)/tokenizer.json"))
    let added = json["added_tokens"]?.array ?? []
    var spellings: [Int: String] = [:]
    for (token, id) in json["model"]?["vocab"]?.object ?? [:] { spellings[id.int ?? -1] = token }
    for token in added { spellings[token["id"]?.int ?? -1] = token["content"]?.string }
    let special = Set(added.filter { $0["special"]?.bool == true }.compactMap { $0["id"]?.int })
    let userDefined = Set(added.compactMap { $0["id"]?.int }).subtracting(special)
    let tokens = (0..<spellings.count).map { spellings[$0] ?? "" }
    let merges = (json["model"]?["merges"]?.array ?? []).map { merge in
      merge.string ?? (merge.array ?? []).compactMap(\.string).joined(separator: " ")
    }
    return GGUFVocabulary(
      model: "gpt2", pre: pre, tokens: tokens,
      types: tokens.indices.map { special.contains($0) ? 3 : userDefined.contains($0) ? 4 : 1 }, merges: merges,
      bosID: tokens.firstIndex(of: "<|begin_of_text|>"), eosID: special.min())
  }

  @Test(arguments: families)
  func idsEqualTheReference(_ name: String, _ pre: String) throws {
    let vocabulary = try vocabulary(name, pre: pre)
    let exported = try BPETokenizer(
      tokenizerJSON: Array(vocabulary.tokenizerJSON().utf8),
      configJSON: Array(vocabulary.tokenizerConfigJSON(contextLength: 64).text().utf8))
    for item in try TokenizerGolden(name).texts {
      #expect(exported.encode(item.text, addSpecialTokens: true) == item.ids, "\(name): \(item.text.debugDescription)")
      #expect(
        exported.decode(item.ids, skipSpecialTokens: true).scalarValues == item.skipped.scalarValues, "\(name): \(item.ids)")
    }
    #expect(exported.special == (try BPETokenizer(vocabulary).special))
  }

  @Test func whatHasNoExactCounterpartIsRefused() throws {
    var vocabulary = try vocabulary("gpt2", pre: "gpt-2")
    vocabulary.addSpacePrefix = true
    #expect(throws: TokenizerError.self) { try vocabulary.tokenizerJSON() }
    vocabulary.addSpacePrefix = nil
    vocabulary.model = "llama"
    #expect(throws: TokenizerError.self) { try vocabulary.tokenizerJSON() }
  }
}
