import Text

extension DatasetFormat {
  /// ShareGPT: `conversations` of `from` and `value`, with `system` and `tools` as LLaMA-Factory has them.
  ///
  /// `function_call` becomes an assistant's turn that calls tools, `observation` a tool's turn.
  public static let sharegpt = DatasetFormat(
    name: "sharegpt", layout: "conversations [{from, value}], and maybe system, tools",
    required: ["conversations"], excluded: ["chosen", "rejected", "label", "kto_tag"]
  ) { row throws(RowProblem) in
    Sample(
      .conversation(try ShareGPTReader(row: row).messages()), tools: try ToolReader(row: row).tools(), location: row.location)
  }
}

/// Reads turns in ShareGPT's shape out of a row.
struct ShareGPTReader {
  let row: Row

  /// The turns under `conversations`, the system's first: at least one.
  func messages() throws(RowProblem) -> [Message] {
    let turns = try row.list("conversations")
    guard !turns.isEmpty else {
      throw RowProblem(row.location, field: "conversations", "is empty", cure: "Give it turns, or remove the row")
    }
    var messages: [Message] = []
    for (index, turn) in turns.enumerated() {
      messages.append(try message(turn, field: "conversations[\(index)]"))
    }
    if let system = try row.optionalText("system"), !system.isEmpty, messages[0].role != "system" {
      messages.insert(Message(role: "system", content: system), at: 0)
    }
    return messages
  }

  /// What the values of `from` mean.
  private static let roles = [
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "bing": "assistant",
    "bard": "assistant", "model": "assistant", "system": "system", "function_call": "assistant", "observation": "tool",
    "tool": "tool",
  ]

  /// One turn.
  func message(_ turn: JSON, field: String) throws(RowProblem) -> Message {
    guard turn.object != nil else { throw row.wrong(field, turn, expected: "an object with “from” and “value”") }
    guard let from = turn["from"]?.string else {
      throw RowProblem(row.location, field: field + ".from", "is missing or not text", cure: "Write human, gpt or another role")
    }
    guard let role = Self.roles[from] else {
      let known = Self.roles.keys.sorted().joined(separator: ", ")
      throw RowProblem(row.location, field: field + ".from", "is “\(from)”, which is no role", cure: "Write one of \(known)")
    }
    guard let value = turn["value"], !value.isNull else {
      throw RowProblem(row.location, field: field + ".value", "is missing", cure: "Write the text of the turn")
    }
    guard let text = value.string else { throw row.wrong(field + ".value", value, expected: "text") }
    guard from == "function_call" else { return Message(role: role, content: text) }
    return Message(role: role, content: nil, toolCalls: try calls(text, field: field + ".value"))
  }

  private func calls(_ text: String, field: String) throws(RowProblem) -> [JSON] {
    let value: JSON
    do {
      value = try JSON(parsing: text)
    } catch {
      throw RowProblem(row.location, field: field, "is \(error)", cure: #"Write the call as {"name": …, "arguments": {…}}"#)
    }
    let reader = ToolReader(row: row)
    var calls: [JSON] = []
    for call in value.array ?? [value] { calls.append(try reader.call(call, field: field)) }
    return calls
  }
}
