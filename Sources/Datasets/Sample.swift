import Text

/// One sample to train on, whatever file format it came from.
public struct Sample: Sendable, Hashable {
  /// What a sample holds.
  public indirect enum Content: Sendable, Hashable {
    /// A conversation, rendered through the model's chat template.
    case conversation([Message])
    /// A conversation of which only what follows `prompt` is to be learnt.
    case continuation(prompt: [Message], completion: [Message])
    /// A text to be continued and its continuation, taken as they stand, without a template.
    case completion(prompt: String, completion: String)
    /// Running text.
    case text(String)
    /// Two answers to one prompt, each with it, of which the first is the better one.
    case preference(chosen: Content, rejected: Content)
  }

  /// What it holds.
  public var content: Content
  /// JSON schemas of the tools that the conversation may call; nil for none.
  public var tools: [JSON]?
  /// Where it was read.
  public var location: SourceLocation
  /// Which of the data set's sources it came from.
  public var source: Int
  /// What the data say of its answers in numbers, one for each, or nothing: of a pair with a margin, the margin and 0.
  public var grades: [Double] = []

  /// A sample.
  public init(_ content: Content, tools: [JSON]? = nil, location: SourceLocation, source: Int = 0) {
    self.content = content
    self.tools = tools
    self.location = location
    self.source = source
  }

  /// All turns, where the sample is a conversation; of two answers, with the better one.
  public var messages: [Message]? { content.messages }

  /// What the model is to answer: the last assistant's turn, the completion, or the text; of two answers the better one.
  public var answer: String { content.answer }

  /// The sample as a person reads it: a line for each turn. Equal transcripts mean equal samples.
  public var transcript: String {
    let tools = (tools ?? []).map { "tool offered: " + $0.text() }
    return (tools + content.turns).joined(separator: "\n")
  }
}

extension Sample.Content {
  fileprivate var messages: [Message]? {
    switch self {
    case .conversation(let messages): messages
    case .continuation(let prompt, let completion): prompt + completion
    case .completion, .text: nil
    case .preference(let chosen, _): chosen.messages
    }
  }

  fileprivate var answer: String {
    switch self {
    case .conversation(let messages), .continuation(_, let messages):
      messages.last { $0.role == "assistant" }.map(\.spoken) ?? ""
    case .completion(_, let completion): completion
    case .text(let text): text
    case .preference(let chosen, _): chosen.answer
    }
  }

  /// A line for each turn.
  fileprivate var turns: [String] {
    switch self {
    case .conversation(let messages): messages.map(\.transcript)
    case .continuation(let prompt, let completion):
      prompt.map(\.transcript) + ["completion:"] + completion.map(\.transcript)
    case .completion(let prompt, let completion): ["prompt: " + prompt, "completion: " + completion]
    case .text(let text): ["text: " + text]
    case .preference(let chosen, let rejected): ["chosen:"] + chosen.turns + ["rejected:"] + rejected.turns
    }
  }
}

extension Message {
  /// Content and calls as one text.
  fileprivate var spoken: String { ([content].compactMap { $0 } + toolCalls.map { $0.text() }).joined(separator: "\n") }

  /// `role: content`, then calls and other keys.
  fileprivate var transcript: String {
    let calls = toolCalls.map { "\n  calls: " + $0.text() }
    let rest = extra.map { "\n  \($0.key): " + $0.value.text() }
    return "\(role): \(content ?? "(none)")" + (calls + rest).joined()
  }
}
