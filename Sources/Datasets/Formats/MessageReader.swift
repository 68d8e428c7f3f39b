import OrderedCollections
import Text

/// Reads lists of messages in OpenAI's shape out of a row.
struct MessageReader {
  let row: Row

  /// The messages under `key`: at least one.
  func messages(_ key: String) throws(RowProblem) -> [Message] {
    let values = try row.list(key)
    guard !values.isEmpty else {
      throw RowProblem(row.location, field: key, "is empty", cure: "Give it messages, or remove the row")
    }
    var messages: [Message] = []
    for (index, value) in values.enumerated() { messages.append(try message(value, field: "\(key)[\(index)]")) }
    return messages
  }

  private func message(_ value: JSON, field: String) throws(RowProblem) -> Message {
    guard var members = value.object else { throw row.wrong(field, value, expected: "an object with “role” and “content”") }
    let role = members.removeValue(forKey: "role")
    guard let role = role?.string, !role.isEmpty else {
      throw RowProblem(
        row.location, field: field + ".role", "is missing or not text", cure: "Write system, user, assistant or tool")
    }
    let calls = try toolCalls(members.removeValue(forKey: "tool_calls"), field: field + ".tool_calls")
    let content = try text(members.removeValue(forKey: "content"), field: field + ".content")
    guard content != nil || !calls.isEmpty else {
      throw RowProblem(
        row.location, field: field + ".content", "is missing", cure: "Write the text of the turn, or its tool_calls")
    }
    members.removeAll { $0.value.isNull }
    return Message(role: role, content: content, toolCalls: calls, extra: members)
  }

  /// Text, or a list of `{"type": "text", "text": …}` whose texts are joined.
  private func text(_ value: JSON?, field: String) throws(RowProblem) -> String? {
    guard let value, !value.isNull else { return nil }
    if let text = value.string { return text }
    guard let parts = value.array else { throw row.wrong(field, value, expected: "text or a list of parts") }
    var text = ""
    for (index, part) in parts.enumerated() {
      let place = "\(field)[\(index)]"
      let type = part["type"]?.string ?? "text"
      guard type == "text" else {
        throw RowProblem(row.location, field: place + ".type", "is “\(type)”", cure: "Only parts of type “text” can be used")
      }
      guard let piece = part["text"]?.string else {
        throw RowProblem(
          row.location, field: place + ".text", "is missing or not text", cure: #"Write {"type": "text", "text": …}"#)
      }
      text += piece
    }
    return text
  }

  private func toolCalls(_ value: JSON?, field: String) throws(RowProblem) -> [JSON] {
    guard let value, !value.isNull else { return [] }
    guard let list = value.array else { throw row.wrong(field, value, expected: "a list of calls") }
    let reader = ToolReader(row: row)
    var calls: [JSON] = []
    for (index, call) in list.enumerated() { calls.append(try reader.call(call, field: "\(field)[\(index)]")) }
    return calls
  }
}
