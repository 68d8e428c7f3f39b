import OrderedCollections

/// A model's own chat template: Jinja, as Hugging Face's `apply_chat_template` runs it.
///
/// Blocks are trimmed (`trim_blocks`, `lstrip_blocks`), `break` and `continue` are known, and the values of a template cannot be
/// changed. `tojson`, `raise_exception`, `strftime_now` and `{% generation %}` behave as in transformers 5.
public struct ChatTemplate: ChatRenderer {
  /// The name that errors give.
  public let name: String
  /// The source as the model's files hold it.
  public let source: String
  /// What the template may call `bos_token`, `eos_token`, `pad_token` and `unk_token`; absent ones are undefined to it.
  public var specialTokens: SpecialTokens
  /// Variables of the template beside those every template has, such as `enable_thinking`; they win over special tokens.
  public var variables: [String: JSON]
  /// Bounds on the work of one rendering.
  public var limits: TemplateLimits
  /// What `strftime_now` shows.
  public var clock: TemplateClock
  /// True where `{% generation %}` blocks mark what the assistant says.
  public let marksAssistant: Bool

  private let body: [TemplateStatement]

  /// Reads a template.
  ///
  /// - Throws: ``TemplateError`` where it is not well formed, uses what is not supported or nests too deep.
  public init(
    source: String, name: String, specialTokens: SpecialTokens, variables: [String: JSON] = [:],
    limits: TemplateLimits = TemplateLimits(), clock: TemplateClock = .system
  ) throws {
    self.name = name
    self.source = source
    self.specialTokens = specialTokens
    self.variables = variables
    self.limits = limits
    self.clock = clock
    (body, marksAssistant) = try TemplateParser.parse(source, template: name)
  }

  /// The whole conversation as text, without documents.
  ///
  /// - Throws: ``TemplateError``.
  public func render(_ messages: [Message], tools: [JSON]?, addGenerationPrompt: Bool) throws -> String {
    try render(messages, tools: tools, documents: nil, addGenerationPrompt: addGenerationPrompt)
  }

  /// The whole conversation as text.
  ///
  /// - Parameters:
  ///   - messages: the turns.
  ///   - tools: JSON schemas of the tools on offer; nil for none.
  ///   - documents: what a template for retrieval shows the model; nil for none.
  ///   - addGenerationPrompt: end with the opening of an assistant's turn.
  ///   - extra: variables for this rendering alone, which win over ``variables``.
  /// - Throws: ``TemplateError``.
  public func render(
    _ messages: [Message], tools: [JSON]?, documents: [JSON]?, addGenerationPrompt: Bool, extra: [String: JSON] = [:]
  ) throws -> String {
    try run(messages, tools: tools, documents: documents, addGenerationPrompt: addGenerationPrompt, extra: extra).text
  }

  private func run(
    _ messages: [Message], tools: [JSON]?, documents: [JSON]?, addGenerationPrompt: Bool, extra: [String: JSON]
  ) throws -> TemplateInterpreter.Result {
    var context: OrderedDictionary<String, JSON> = [:]
    let special = [
      "bos_token": specialTokens.bos, "eos_token": specialTokens.eos, "pad_token": specialTokens.pad,
      "unk_token": specialTokens.unk,
    ]
    for (name, token) in special { context[name] = token.map(JSON.string) }
    context.merge(variables.map { ($0.key, $0.value) }) { $1 }
    context.merge(extra.map { ($0.key, $0.value) }) { $1 }
    context["messages"] = .array(messages.map(Self.visible))
    context["tools"] = tools.map(JSON.array) ?? .null
    context["documents"] = documents.map(JSON.array) ?? .null
    context["add_generation_prompt"] = .bool(addGenerationPrompt)
    return try TemplateInterpreter.render(body, variables: context, limits: limits, clock: clock, template: name)
  }

  /// A message as transformers shows it to a template: without keys that are null, reasoning under all of its usual names.
  private static func visible(_ message: Message) -> JSON {
    guard case .object(let all) = message.json else { return message.json }
    var members = all.filter { !$0.value.isNull }
    let reasoning = ["reasoning_content", "thinking", "reasoning"].lazy.compactMap { members[$0] }.first
    if let reasoning {
      members = OrderedDictionary(uniqueKeysWithValues: [("thinking", reasoning)]).merging(members) { $1 }
      members["reasoning_content"] = reasoning
    }
    return .object(members)
  }
}

extension ChatTemplate: AssistantMarkingRenderer {
  /// The conversation and the UTF-8 ranges of the template's `{% generation %}` blocks.
  ///
  /// - Throws: ``TemplateError``.
  public func renderMarkingAssistant(_ messages: [Message], tools: [JSON]?) throws -> (text: String, spans: [Range<Int>])? {
    guard marksAssistant else { return nil }
    let result = try run(messages, tools: tools, documents: nil, addGenerationPrompt: false, extra: [:])
    return result.generationSpans.map { (result.text, $0) }
  }
}
