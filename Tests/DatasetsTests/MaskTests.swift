import Testing
import Text

@testable import Datasets

@Suite struct MaskTests {
  private let bytes = ByteTokenizer()

  private func learnt(_ sample: Sample, _ settings: EncodingSettings = EncodingSettings()) throws -> String {
    let fitted = try encoder(settings).fit(sample, index: 0)
    return try DatasetsTests.learnt(#require(fitted.pieces.first), bytes)
  }

  private func messages(_ item: JSON) throws -> [Message] {
    try #require(item["messages"]?.array).map { Message(role: $0["role"]?.string ?? "", content: $0["content"]?.string) }
  }

  /// ids and masks of 40 random conversations, against transformers' `return_assistant_tokens_mask`: through the marks of a template
  /// with `{% generation %}`, and through a renderer without any.
  @Test(arguments: [true, false]) func agreesWithTransformersOnConversations(_ isMarked: Bool) throws {
    let expected = try golden("masks.json")
    let merges = try #require(expected["merges"]?.array).compactMap(\.string)
    let source = try #require(expected["template"]?.string)
    let template = try ChatTemplate(source: source, name: "golden", specialTokens: SpecialTokens())
    let encoder = try encoder(tokenizer: ByteTokenizer(merges: merges), renderer: isMarked ? template : ChatML())
    let cases = try #require(expected["cases"]?.array)
    #expect(cases.count == 40)
    for item in cases {
      let tokens = try encoder.tokens(of: Sample(.conversation(messages(item)), location: nowhere))
      #expect(tokens.ids.map(Int.init) == item["ids"]?.ints)
      #expect(tokens.trained.map { $0 ? 1 : 0 } == item["mask"]?.ints)
    }
  }

  /// The same with the tokenizers of six model families: byte-level and SentencePiece, with and without a space in front.
  @Test(arguments: ["smollm2", "qwen2", "llama3", "llama2", "gemma", "mistral"])
  func agreesWithTransformersOnRealTokenizers(_ family: String) throws {
    let expected = try #require(golden("family-masks.json")[family])
    let tokenizer = try BPETokenizer(tokenizerJSON: goldenBytes("tokenizers/\(family)/tokenizer.json"))
    let encoder = try encoder(tokenizer: tokenizer, renderer: ChatML(closing: try #require(expected["closing"]?.string)))
    let cases = try #require(expected["cases"]?.array)
    #expect(cases.count == 12)
    for item in cases {
      let tokens = try encoder.tokens(of: Sample(.conversation(messages(item)), location: nowhere))
      #expect(tokens.ids.map(Int.init) == item["ids"]?.ints)
      #expect(tokens.trained.map { $0 ? 1 : 0 } == item["mask"]?.ints)
    }
  }

  /// ids and masks as TRL prepares prompts and completions, where the prompt's tokens are the first of both together.
  @Test func agreesWithTRLOnCompletions() throws {
    let merges = try #require(golden("masks.json")["merges"]?.array).compactMap(\.string)
    let encoder = try encoder(tokenizer: ByteTokenizer(merges: merges))
    let cases = try #require(golden("completions.json").array)
    #expect(cases.contains { $0["is_prefix"] == false } && cases.contains { $0["is_prefix"] == true })
    for item in cases {
      let content = Sample.Content.completion(
        prompt: try #require(item["prompt"]?.string), completion: try #require(item["completion"]?.string))
      let tokens = try encoder.tokens(of: Sample(content, location: nowhere))
      #expect(tokens.ids.map(Int.init) == item["ids"]?.ints)
      #expect(tokens.isSplitAtBorder == (item["is_prefix"] == false))
      #expect(tokens.trained.firstIndex(of: true) == item["prompt_length"]?.int)
      #expect(!tokens.trained.drop { !$0 }.contains(false))
    }
  }

  @Test(arguments: [
    (nil, "one<|im_end|>|two<|im_end|>"), (MaskPolicy.assistant, "one<|im_end|>|two<|im_end|>"),
    (.completion, "two<|im_end|>"),
    (
      .all,
      "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\none<|im_end|>\n<|im_start|>user\nb<|im_end|>\n"
        + "<|im_start|>assistant\ntwo<|im_end|>\n"
    ),
  ])
  func aPolicyChoosesTheTurns(_ policy: MaskPolicy?, _ expected: String) throws {
    #expect(try learnt(.chat("a", "one", "b", "two"), EncodingSettings(mask: policy)) == expected)
  }

  @Test func aWeightOfZeroLeavesATurnOut() throws {
    let row = """
      {"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"one","weight":0},
      {"role":"user","content":"b"},{"role":"assistant","content":"two","weight":1}]}
      """
    let sample = try Scratch().load("weights.json", row).samples[0]
    #expect(try learnt(sample) == "two<|im_end|>")
  }

  @Test func ofAContinuationOnlyTheCompletionIsLearnt() throws {
    let prompt = [
      Message(role: "user", content: "a"), Message(role: "assistant", content: "one"), Message(role: "user", content: "b"),
    ]
    let content = Sample.Content.continuation(prompt: prompt, completion: [Message(role: "assistant", content: "two")])
    for policy in [nil, MaskPolicy.completion, .assistant] {
      #expect(try learnt(Sample(content, location: nowhere), EncodingSettings(mask: policy)) == "two<|im_end|>")
    }
  }

  @Test func ofATextEverythingIsLearntAndEOSEndsIt() throws {
    #expect(try learnt(Sample(.text("abc"), location: nowhere)) == "abc</s>")
    #expect(try learnt(Sample(.text("abc</s>"), location: nowhere)) == "abc</s>")
    #expect(try learnt(Sample(.text("abc"), location: nowhere), EncodingSettings(appendsEndOfText: false)) == "abc")
    let refused = complaint { _ = try learnt(Sample(.text("abc"), location: nowhere), EncodingSettings(mask: .assistant)) }
    #expect(refused.contains("made.jsonl:1: “text” is running text"))
  }

  @Test func beginOfTextStandsOnceBeforeATextAndIsNoTarget() throws {
    let tokens = try encoder(tokenizer: ByteTokenizer(addsBOS: true)).tokens(
      of: Sample(.completion(prompt: "q", completion: "a"), location: nowhere))
    #expect(bytes.decode(tokens.ids, skipSpecialTokens: false) == "<s>qa</s>")
    #expect(tokens.trained == [false, false, true, true])
    let rendered = try encoder(tokenizer: ByteTokenizer(addsBOS: true), renderer: ChatML(opening: "<s>")).tokens(
      of: .chat("q", "a"))
    #expect(rendered.ids.count { $0 == bytes.id(of: "<s>") } == 1)
  }

  /// A token over the start of a span is the prompt's, one over its end is the answer's.
  @Test func aTokenBelongsToWhereItBegins() throws {
    let tokenizer = ByteTokenizer(merges: ["Ġ a", "b c"])
    let text = "q ab c bc"
    // Tokens: q · a|b · ␣ · c · ␣ · bc
    let tokens = try MaskedTokens(text: text, spans: [2..<4, 6..<8], tokenizer: tokenizer)
    #expect(tokens.ids.map { tokenizer.token(of: $0) ?? "" } == ["q", " a", "b", " ", "c", " ", "bc"])
    #expect(tokens.trained == [false, false, true, false, false, true, true])
  }

  @Test func whereTheTokenizerRewritesBordersAreFoundByEncodingUpToThem() throws {
    let lowercasing = RewritingTokenizer(base: ByteTokenizer(merges: ["a b"]), habit: .lowercases)
    let fitted = try encoder(tokenizer: lowercasing).fit(.chat("WHAT", "ABC", "More", "É"), index: 0)
    #expect(try DatasetsTests.learnt(#require(fitted.pieces.first), lowercasing) == "abc<|im_end|>|é<|im_end|>")
    #expect(throws: SpanError.self) { try MaskedTokens(text: "ABC", spans: [1..<3], tokenizer: lowercasing) }
    #expect(throws: SpanError.self) { try MaskedTokens(text: "É", spans: [1..<2], tokenizer: lowercasing) }
    #expect(throws: SpanError.self) { try MaskedTokens(text: "abc", spans: [1..<4], tokenizer: bytes) }
    #expect(throws: SpanError.self) { try MaskedTokens(text: "abc", spans: [1..<2, 0..<1], tokenizer: bytes) }
  }

  @Test func whatTheTemplateRefusesIsNamed() throws {
    let sample = Sample(.conversation([Message(role: "narrator", content: "x")]), location: nowhere)
    #expect(complaint { _ = try learnt(sample) }.contains("made.jsonl:1: cannot be rendered: no role “narrator”"))
    let bare = try encoder(renderer: nil)
    #expect(complaint { _ = try bare.tokens(of: .chat("a", "b")) }.contains("has no chat template"))
  }
}
