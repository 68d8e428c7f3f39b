import OrderedCollections
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
    /// Answers to one prompt, each with it, the best one first: two or more.
    case ranking([Content])
    /// What the model is to answer, without an answer.
    case prompt(Prompt)
  }

  /// What the model is to answer.
  public enum Prompt: Sendable, Hashable {
    /// A text to be continued, taken as it stands.
    case text(String)
    /// A conversation, rendered through the model's chat template.
    case messages([Message])
  }

  /// What it holds.
  public var content: Content
  /// JSON schemas of the tools that the conversation may call; nil for none.
  public var tools: [JSON]?
  /// The columns of its row, where they were asked for: rewards read them.
  public var columns: OrderedDictionary<String, JSON> = [:]
  /// Where it was read.
  public var location: SourceLocation
  /// Which of the data set's sources it came from.
  public var source: Int
  /// What the data say of its answers in numbers, for each in their order, or nothing: scores, 1 or 0 for a label; of a pair with a margin
  /// the margin alone.
  public var grades: [Double] = []

  /// A sample.
  public init(_ content: Content, tools: [JSON]? = nil, location: SourceLocation, source: Int = 0) {
    self.content = content
    self.tools = tools
    self.location = location
    self.source = source
  }

  /// All turns, where the sample is a conversation; of several answers, with the best one.
  public var messages: [Message]? { content.messages }

  /// What the model is to answer: the last assistant's turn, the completion, or the text; of several answers the best one.
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
    case .ranking(let answers): answers.first?.messages
    case .prompt(.messages(let messages)): messages
    case .prompt(.text): nil
    }
  }

  fileprivate var answer: String {
    switch self {
    case .conversation(let messages), .continuation(_, let messages):
      messages.last { $0.role == "assistant" }.map(\.spoken) ?? ""
    case .completion(_, let completion): completion
    case .text(let text): text
    case .ranking(let answers): answers.first?.answer ?? ""
    case .prompt: ""
    }
  }

  /// What answers to one prompt are called: `chosen` and `rejected`, or by their places.
  static func names(ofAnswers count: Int) -> [String] {
    count == 2 ? ["chosen", "rejected"] : (0..<count).map { "answer \($0 + 1)" }
  }

  /// A line for each turn.
  fileprivate var turns: [String] {
    switch self {
    case .conversation(let messages): messages.map(\.transcript)
    case .continuation(let prompt, let completion):
      prompt.map(\.transcript) + ["completion:"] + completion.map(\.transcript)
    case .completion(let prompt, let completion): ["prompt: " + prompt, "completion: " + completion]
    case .text(let text): ["text: " + text]
    case .ranking(let answers):
      zip(Self.names(ofAnswers: answers.count), answers).flatMap { [$0 + ":"] + $1.turns }
    case .prompt(.text(let text)): ["prompt: " + text]
    case .prompt(.messages(let messages)): messages.map(\.transcript)
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
