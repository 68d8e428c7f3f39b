import Datasets
import OrderedCollections
import Text

/// What is asked or answered: a text as it stands, or turns of a conversation.
public enum Passage: Sendable, Hashable {
  /// A text, taken without a template.
  case text(String)
  /// Turns, rendered through a model's chat template.
  case messages([Message])

  /// Reads a JSON text, or a list of messages.
  ///
  /// - Throws: ``PreferenceError`` where it is neither.
  public init(_ json: JSON) throws(PreferenceError) {
    if let text = json.string {
      self = .text(text)
      return
    }
    guard let list = json.array, !list.isEmpty else { throw PreferenceError("must be text or a list of messages") }
    var messages: [Message] = []
    for value in list {
      guard let role = value["role"]?.string, let members = value.object else {
        throw PreferenceError("holds a message without a “role”")
      }
      let calls = value["tool_calls"]?.array ?? []
      guard value["content"]?.string != nil || !calls.isEmpty else {
        throw PreferenceError("holds a message without “content” that is text")
      }
      let extra = members.filter { !["role", "content", "tool_calls"].contains($0.key) && !$0.value.isNull }
      messages.append(Message(role: role, content: value["content"]?.string, toolCalls: calls, extra: extra))
    }
    self = .messages(messages)
  }

  /// The JSON that reads back to it.
  public var json: JSON {
    switch self {
    case .text(let text): .string(text)
    case .messages(let messages): .array(messages.map(\.json))
    }
  }

  /// What a person reads: the text; one assistant's turn without its role; else a line `role: text` for each turn.
  public var plain: String {
    switch self {
    case .text(let text): return text
    case .messages(let messages):
      if messages.count == 1, messages[0].role == "assistant" { return messages[0].spoken }
      return messages.map { "\($0.role): \($0.spoken)" }.joined(separator: "\n\n")
    }
  }

  /// SHA-256 of its JSON, as text.
  var digest: String {
    var hash = SHA256()
    hash.update(Array(json.text().utf8))
    let digits = hash.digest().map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
    return digits.joined()
  }
}

extension Message {
  /// Content and calls as one text.
  fileprivate var spoken: String { ([content].compactMap { $0 } + toolCalls.map { $0.text() }).joined(separator: "\n") }
}
