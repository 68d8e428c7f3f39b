import Text

extension DatasetFormat {
  /// TRL's `prompt`, `completion` and `label`: answers that are good or bad, each for itself. Also LLaMA-Factory's `messages`,
  /// `conversations` or Alpaca's keys, of which the last assistant's turn is the answer, with `label` or `kto_tag`.
  public static let labelled = DatasetFormat(
    name: "kto",
    layout: "label (true or false) with prompt, completion; or with messages, conversations, or instruction, output",
    required: [], excluded: ["chosen", "rejected", "labels"], oneOf: ["label", "kto_tag"]
  ) { row throws(RowProblem) in
    let (label, content) = (try label(of: row), try answer(of: row))
    var sample = Sample(content, tools: try ToolReader(row: row).tools(), location: row.location)
    sample.grades = [label ? 1 : 0]
    return sample
  }

  private static func label(of row: Row) throws(RowProblem) -> Bool {
    let key = row["label"] == nil ? "kto_tag" : "label"
    switch row[key] {
    case .bool(let label): return label
    case .int(1): return true
    case .int(0): return false
    case nil: throw row.missing("label", expected: "true for a good answer or false for a bad one")
    case .some(let value): throw row.wrong(key, value, expected: "true or false")
    }
  }

  private static func answer(of row: Row) throws(RowProblem) -> Sample.Content {
    if row["messages"] != nil {
      return try last(of: try MessageReader(row: row).messages("messages"), in: row, field: "messages")
    }
    if row["conversations"] != nil {
      return try last(of: try ShareGPTReader(row: row).messages(), in: row, field: "conversations")
    }
    if row["instruction"] != nil {
      let answer = Message(role: "assistant", content: try row.text("output"))
      return .continuation(prompt: try AlpacaReader(row: row).prompt(), completion: [answer])
    }
    return try promptCompletion.read(row).content
  }

  /// A conversation whose last turn is the answer.
  private static func last(of messages: [Message], in row: Row, field: String) throws(RowProblem) -> Sample.Content {
    guard messages.count > 1, let answer = messages.last, answer.role == "assistant" else {
      throw RowProblem(
        row.location, field: field, "does not end in an assistant's turn after others, which the label would be of",
        cure: "Let it end in the answer")
    }
    return .continuation(prompt: Array(messages.dropLast()), completion: [answer])
  }
}
