import Testing

@testable import Text

@Suite("What the assistant says in a rendering")
struct TemplateSpanTests {
  /// The texts of the spans.
  private func spoken(_ messages: [Message], _ model: String, tools: [JSON]? = nil) throws -> [String] {
    let (text, spans) = try assistantSpans(of: messages, tools: tools, using: try TemplateGoldens.template(model))
    let bytes = Array(text.utf8)
    return spans.map { String(decoding: bytes[$0], as: UTF8.self) }
  }

  private func spoken(_ conversation: String, _ model: String, tools: [JSON]? = nil) throws -> [String] {
    try spoken(try TemplateGoldens.messages(conversation), model, tools: tools)
  }

  @Test(
    "the last word is the last of all words",
    arguments: ["", " ", "a", " a", "a ", "a b", "é\u{301} x\u{2003}\n", "\u{FEFF}one  two\t"])
  func theLastWordIsTheLastOfAllWords(_ text: String) {
    #expect(TextTrim.lastWord(of: text) == TextTrim.words(text, limit: .max, fromEnd: false).last)
  }

  @Test(
    "a turn runs from the generation prompt through the end-of-turn marker",
    arguments: [
      ("chatml-openhermes-2.5", ["Hello!<|im_end|>", "See you.<|im_end|>"]),
      ("smollm2-135m-instruct", ["Hello!<|im_end|>", "See you.<|im_end|>"]),
      ("llama-2-7b-chat", [" Hello! </s>", " See you. </s>"]),
      ("llama-3-8b-instruct", ["Hello!<|eot_id|>", "See you.<|eot_id|>"]),
      ("llama-3.1-8b-instruct", ["Hello!<|eot_id|>", "See you.<|eot_id|>"]),
      ("mistral-7b-instruct-v0.2", ["Hello!</s>", "See you.</s>"]),
      ("mistral-nemo-instruct-2407", ["Hello!</s>", "See you.</s>"]),
      ("qwen2.5-7b-instruct", ["Hello!<|im_end|>", "See you.<|im_end|>"]),
      ("qwen3-8b", ["Hello!<|im_end|>", "<think>\n\n</think>\n\nSee you.<|im_end|>"]),
      ("gemma-2-2b-it", ["Hello!<end_of_turn>", "See you.<end_of_turn>"]),
      ("gemma-3-it", ["Hello!<end_of_turn>", "See you.<end_of_turn>"]),
      ("phi-3-mini", ["Hello!<|end|>", "See you.<|end|>"]),
      ("phi-3.5-mini-instruct", ["Hello!<|end|>", "See you.<|end|>"]),
      ("phi-4", ["Hello!<|im_end|>", "See you.<|im_end|>"]),
      (
        "gpt-oss-120b",
        ["<|channel|>final<|message|>Hello!<|end|>", "<|channel|>final<|message|>See you.<|return|>"]
      ), ("deepseek-r1-distill-llama-8b", ["Hello!<｜end▁of▁sentence｜>", "See you.<｜end▁of▁sentence｜>"]),
      ("zephyr-7b-beta", ["Hello!</s>", "See you.</s>"]),
    ])
  func turns(_ model: String, _ expected: [String]) throws {
    #expect(try spoken("multi", model) == expected)
  }

  @Test("reasoning that a template drops from earlier turns is no part of them")
  func droppedReasoning() throws {
    let expected = ["2<|im_end|>", "<think>\nStill easy.\n</think>\n\n4<|im_end|>"]
    #expect(try spoken("thinking", "qwen3-8b") == expected)
    #expect(try spoken("reasoning", "qwen3-8b") == expected)
  }

  @Test("a system prompt that moves to the last user turn leaves the turns where they are")
  func movingSystemPrompt() throws {
    #expect(try spoken("system", "mistral-nemo-instruct-2407") == ["Yo.</s>", "Me.</s>"])
    #expect(try spoken("system", "mistral-v1") == [" Yo.</s>", " Me.</s>"])
  }

  @Test("tool calls are what the assistant says")
  func toolCalls() throws {
    let qwen = try spoken("tool call", "qwen2.5-7b-instruct", tools: TemplateGoldens.tools)
    #expect(qwen.count == 3)
    #expect(qwen[0].hasPrefix("<tool_call>\n{\"name\": \"get_weather\"") && qwen[0].hasSuffix("</tool_call><|im_end|>"))
    #expect(qwen[2] == "Welcome.<|im_end|>")
    let mistral = try spoken("tool call", "mistral-nemo-instruct-2407", tools: TemplateGoldens.tools)
    #expect(mistral[0].hasPrefix("[TOOL_CALLS]") && mistral[0].hasSuffix("</s>"))
    #expect(mistral[1] == "It is 4.5 degrees.</s>")
  }

  @Test("an empty turn is its marker alone")
  func emptyTurns() throws {
    #expect(try spoken("empty", "chatml-openhermes-2.5") == ["<|im_end|>", "<|im_end|>"])
  }

  @Test("a template without a marker keeps the white space that ends a turn")
  func withoutMarker() throws {
    let source =
      "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    let template = try ChatTemplate(source: source, name: "plain", specialTokens: SpecialTokens())
    let messages = [Message(role: "user", content: "Hi"), Message(role: "assistant", content: "Yo")]
    let (text, spans) = try assistantSpans(of: messages, tools: nil, using: template)
    #expect(spans.map { String(decoding: Array(text.utf8)[$0], as: UTF8.self) } == ["Yo\n"])
  }

  @Test("a turn that cannot be found is an error that names it")
  func hiddenTurn() throws {
    let source = "{% for m in messages if m.role != 'assistant' %}<{{ m.content }}>{% endfor %}"
    let template = try ChatTemplate(source: source, name: "deaf", specialTokens: SpecialTokens())
    let messages = [Message(role: "user", content: "Hi"), Message(role: "assistant", content: "Yo")]
    let error = #expect(throws: AssistantSpanError.self) { try assistantSpans(of: messages, tools: nil, using: template) }
    #expect(error?.message == 1)
    #expect("\(try #require(error))".contains("message 2"))
  }

  @Test("a template that decides by the turn's text is an error, not a guess")
  func unstableTurn() throws {
    let source = """
      {% for m in messages %}{% if 'secret' in m.content %}[{{ m.content|upper }}]{% else %}<{{ m.content }}>{% endif %}{% endfor %}\
      {{ messages|length }}
      """
    let template = try ChatTemplate(source: source, name: "moody", specialTokens: SpecialTokens())
    let messages = ["user", "assistant", "user"].map { Message(role: $0, content: "a secret") }
    #expect(throws: AssistantSpanError.self) { try assistantSpans(of: messages, tools: nil, using: template) }
  }

  @Test(
    "templates that mark the turns themselves agree, white space at the end aside",
    arguments: [
      ("qwen2.5-7b-instruct", "trl-qwen2.5-training"), ("llama-3-8b-instruct", "trl-llama-3-training"),
      ("gemma-2-2b-it", "trl-gemma-training"),
    ])
  func marked(_ model: String, _ training: String) throws {
    for conversation in ["multi", "open", "unicode", "empty", "long", "markup"] {
      let found = try spoken(conversation, model)
      let marked = try spoken(conversation, training)
      #expect(found.map { TextTrim.trim($0) } == marked.map { TextTrim.trim($0) }, "\(conversation)")
    }
  }

  /// Conversations of which a template leaves a turn out, or whose turns it always follows with the opening of another.
  private static let unanswerable: [String: @Sendable (String) -> Bool] = [
    "command-r7b-tool-use": { _ in true },
    "deepseek-r1-distill-llama-8b": { $0 == "two tool calls" },
    "gpt-oss-120b": { $0 == "assistant first" },
    "phi-3-mini": { $0 == "two tool calls" },
    "phi-3.5-mini-instruct": { $0 == "two tool calls" },
  ]

  @Test("every published template: a turn holds its text, or the error says why", arguments: TemplateGoldens.models)
  func everywhere(_ model: String) throws {
    let template = try TemplateGoldens.template(model)
    for given in try TemplateGoldens.cases(model) where given.text != nil && !given.prompt && given.variables.isEmpty {
      do {
        let (text, spans) = try assistantSpans(of: given.messages, tools: given.tools, using: template)
        #expect(text == given.text)
        let turns = given.messages.filter { $0.role == "assistant" }
        guard !template.marksAssistant else { continue }
        try #require(spans.count == turns.count)
        for (turn, span) in zip(turns, spans) where turn.toolCalls.isEmpty {
          let said = String(decoding: Array(text.utf8)[span], as: UTF8.self)
          let answer = TextSearch.split(turn.content ?? "", by: "</think>").last.map { TextTrim.trim($0) } ?? ""
          #expect(TextSearch.contains(answer, in: said), "\(given.conversation): \(said.debugDescription)")
        }
      } catch let error as AssistantSpanError {
        #expect(Self.unanswerable[model]?(given.conversation) == true, "\(given.conversation): \(error)")
      }
    }
  }
}
