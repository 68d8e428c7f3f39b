import OrderedCollections

/// One turn of a conversation, in the shape chat templates take it.
public struct Message: Sendable, Hashable {
  /// `system`, `user`, `assistant` or `tool`; a template may know others.
  public var role: String
  /// The text; nil where an assistant's turn holds tool calls only.
  public var content: String?
  /// The calls that an assistant's turn makes, as OpenAI writes them: `{"type":"function","function":{"name":…,"arguments":{…}}}`.
  public var toolCalls: [JSON]
  /// Every other key of the message (`name`, `tool_call_id`, `reasoning_content` …), which a template may read.
  public var extra: OrderedDictionary<String, JSON>

  /// A turn.
  public init(
    role: String, content: String?, toolCalls: [JSON] = [], extra: OrderedDictionary<String, JSON> = [:]
  ) {
    self.role = role
    self.content = content
    self.toolCalls = toolCalls
    self.extra = extra
  }

  /// The message as a template sees it: `role`, `content`, `tool_calls` where there are any, then the rest.
  public var json: JSON {
    var members: OrderedDictionary<String, JSON> = ["role": .string(role)]
    members["content"] = content.map(JSON.string) ?? .null
    if !toolCalls.isEmpty { members["tool_calls"] = .array(toolCalls) }
    members.merge(extra) { own, _ in own }
    return .object(members)
  }
}
