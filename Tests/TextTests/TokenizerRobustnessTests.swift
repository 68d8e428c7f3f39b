import Foundation
import OrderedCollections
import Testing

@testable import Text

@Suite struct TokenizerRobustnessTests {
  /// Every copy is refused with an error or gives a tokenizer that works.
  @Test(arguments: ["smollm2", "llama2", "added-tokens", "deepseek"])
  func damagedFilesNeverCrash(_ name: String) throws {
    let bytes = try TokenizerGolden.bytes("\(name)/tokenizer.json")
    let json = try JSON(parsing: bytes)
    var mutator = TokenizerMutator(seed: 20_26)
    var (refused, working) = (0, 0)
    for index in 0..<250 {
      let damaged = index.isMultiple(of: 2) ? mutator.damagedBytes(bytes) : Array(mutator.damagedTree(json).text().utf8)
      guard let tokenizer = try? BPETokenizer(tokenizerJSON: damaged) else {
        refused += 1
        continue
      }
      working += 1
      let ids = tokenizer.encode("Hello <s>world</s>, it's 2024!\n\n  日本語 😀\u{301}", addSpecialTokens: true)
      #expect(ids.allSatisfy { $0 >= 0 && $0 < tokenizer.vocabularySize })
      _ = tokenizer.decode(ids + [-1, .max], skipSpecialTokens: false)
    }
    #expect(refused > 20 && working > 20, "\(refused) refused, \(working) working")
  }

  @Test(arguments: [
    (#""merges": ["a b"]"#, #""merges": ["a q"]"#, "model.merges[0]: “q” is not in the vocabulary"),
    (#""merges": ["a b"]"#, #""merges": ["b a"]"#, "model.merges[0]: “ba” is not in the vocabulary"),
    (#""merges": ["a b"]"#, #""merges": ["a b c"]"#, "model.merges[0]: expected two pieces"),
    (#""merges": ["a b"]"#, #""merges": [["a", "b"], ["a"]]"#, "model.merges[1]: expected two pieces"),
    (#""merges": ["a b"]"#, #""merges": {}"#, "model.merges: expected an array"),
    (#""b": 1"#, #""b": 0"#, "model.vocab[“b”]: the id 0 belongs to “a” already"),
    (#""b": 1"#, #""b": -1"#, "model.vocab[“b”]: the id -1 is not in 0..<"),
    (#""b": 1"#, #""b": 2147483648"#, "model.vocab[“b”]: the id 2147483648"),
    (#""b": 1"#, #""b": "1""#, "model.vocab[“b”]: expected an integer"),
    (#""b": 1"#, #""b": 1, "a": 7"#, "model.vocab[“a”]: the token is there twice"),
    (#""type": "BPE""#, #""type": "WordPiece""#, "model: the model “WordPiece” is not supported"),
    (#""unk_token": null"#, #""unk_token": "?""#, "model.unk_token: “?” is not in the vocabulary"),
    (#""dropout": null"#, #""dropout": 0.1"#, "model.dropout"),
    (#""id": 3"#, #""id": 0"#, "added_tokens[0]: the id 0 belongs to “a” already"),
    (#""content": "<s>""#, #""content": "a""#, "added_tokens[0]: “a” has the id 3 here and 0 elsewhere"),
    (#""id": "<s>"}}"#, #""id": "<t>"}}"#, "post_processor.single[0].SpecialToken.id: the token “<t>” is not among"),
    (#""ids": [3]"#, #""ids": [99]"#, "post_processor.special_tokens.<s>.ids[0]: no token has the id 99"),
    (
      #""normalizer": null"#, #""normalizer": {"type": "Precompiled"}"#,
      "normalizer: the normalizer “Precompiled” is not supported"
    ),
    (
      #""pre_tokenizer": null"#, #""pre_tokenizer": {"type": "UnicodeScripts"}"#,
      "pre_tokenizer: the pre-tokenizer “UnicodeScripts”"
    ),
    (
      #""pre_tokenizer": null"#,
      #""pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated"}]}"#,
      "pre_tokenizer.pretokenizers[0].pattern.Regex: a group is not closed"
    ),
    (#""decoder": null"#, #""decoder": {"type": "CTC"}"#, "decoder: the decoder “CTC” is not supported"),
    (#"{"version""#, #"["version""#, "tokenizer.json: not valid JSON at line 1"),
  ])
  func refusesWithTheKeyPath(_ old: String, _ new: String, _ reason: String) throws {
    let text = """
      {"version": "1.0", "normalizer": null, "pre_tokenizer": null, "decoder": null,
       "added_tokens": [{"id": 3, "content": "<s>", "special": true, "normalized": false}],
       "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [3], "tokens": ["<s>"]}}},
       "model": {"type": "BPE", "dropout": null, "unk_token": null, "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}
      """
    #expect(try BPETokenizer(tokenizerJSON: Array(text.utf8)).encode("ab<s>a", addSpecialTokens: true) == [3, 2, 3, 0])
    #expect(text.contains(old))
    let damaged = text.replacingOccurrences(of: old, with: new)
    #expect { try BPETokenizer(tokenizerJSON: Array(damaged.utf8)) } throws: { "\($0)".contains(reason) }
  }

  @Test(
    .timeLimit(.minutes(1)), arguments: ["gpt2", "llama3", "smollm2", "llama2", "mistral", "deepseek", "o200k", "added-tokens"])
  func longRunsTakeNoQuadraticTime(_ name: String) throws {
    let tokenizer = try TokenizerGolden.tokenizer(name)
    for unit in ["a", " ", "\n", "7", "'", "é", "\u{301}", "😀", "<", " \n"] {
      let text = String(repeating: unit, count: 20_000)
      let ids = tokenizer.encode(text, addSpecialTokens: false)
      let isReversible = ["gpt2", "llama3", "smollm2", "deepseek"].contains(name)
      if isReversible { #expect(tokenizer.decode(ids, skipSpecialTokens: false) == text, "\(unit.debugDescription)") }
    }
  }

  @Test func oneTokenizerServesManyTasks() async throws {
    let tokenizer = try TokenizerGolden.tokenizer("llama3")
    let texts = try TokenizerGolden("llama3").texts
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 {
        group.addTask { texts.allSatisfy { tokenizer.encode($0.text, addSpecialTokens: true) == $0.ids } }
      }
      for await isRight in group { #expect(isRight) }
    }
  }
}

/// Damages tokenizer files the same way on every machine.
struct TokenizerMutator {
  private var random: SeededGenerator

  init(seed: UInt64) { random = SeededGenerator(seed: seed) }

  /// A flipped byte, a truncation, or a stretch taken out or doubled.
  mutating func damagedBytes(_ bytes: [UInt8]) -> [UInt8] {
    let (first, second) = (Int.random(in: 0..<bytes.count, using: &random), Int.random(in: 0..<bytes.count, using: &random))
    let stretch = min(first, second)..<min(max(first, second), min(first, second) + 40)
    var result = bytes
    switch Int.random(in: 0..<4, using: &random) {
    case 0: result[first] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 1: result = Array(bytes[..<first])
    case 2: result.removeSubrange(stretch)
    default: result.insert(contentsOf: bytes[stretch], at: first)
    }
    return result
  }

  /// The tree with one value outside the vocabulary, or one of its entries, removed or made another type.
  mutating func damagedTree(_ json: JSON) -> JSON {
    switch json {
    case .object(var members) where !members.isEmpty:
      let index = Int.random(in: 0..<members.count, using: &random)
      let (key, value) = members.elements[index]
      switch Int.random(in: 0..<8, using: &random) {
      case 0: members.remove(at: index)
      case 1: members[key] = anotherType()
      default: members[key] = damagedTree(value)
      }
      return .object(members)
    case .array(var elements) where !elements.isEmpty:
      let index = Int.random(in: 0..<elements.count, using: &random)
      switch Int.random(in: 0..<6, using: &random) {
      case 0: elements.remove(at: index)
      case 1: elements.append(elements[index])
      default: elements[index] = damagedTree(elements[index])
      }
      return .array(elements)
    case .bool(let value): return .bool(!value)
    default: return anotherType()
    }
  }

  private mutating func anotherType() -> JSON {
    let others: [JSON] = [
      .null, true, -1, 0, 99_999_999_999, 1.5, "", "<s>", "Sequence", "\u{2581}", [], [0], [:], ["type": "ByteLevel"],
      ["String": "a"],
      ["Regex": "(a*)*"], ["Regex": "[^\\s"],
    ]
    return others.randomElement(using: &random) ?? .null
  }
}
