import Text

extension DatasetFormat {
  /// TRL's `prompt` and `completion`: two texts, or two lists of messages which the model's template then joins.
  public static let promptCompletion = DatasetFormat(
    name: "prompt-completion", layout: "prompt, completion as texts or as lists of messages, and maybe tools",
    required: ["prompt", "completion"], excluded: ["chosen", "rejected", "label", "kto_tag"]
  ) { row throws(RowProblem) in
    guard let prompt = row["prompt"] else { throw row.missing("prompt", expected: "text or a list of messages") }
    guard let completion = row["completion"] else { throw row.missing("completion", expected: "text or a list of messages") }
    switch (prompt, completion) {
    case (.string(let prompt), .string(let completion)):
      return Sample(.completion(prompt: prompt, completion: completion), location: row.location)
    case (.array, .array):
      let reader = MessageReader(row: row)
      let content = Sample.Content.continuation(
        prompt: try reader.messages("prompt"), completion: try reader.messages("completion"))
      return Sample(content, tools: try ToolReader(row: row).tools(), location: row.location)
    default:
      let problem = "is \(completion.kind) while “prompt” is \(prompt.kind)"
      throw RowProblem(row.location, field: "completion", problem, cure: "Write both as text or both as lists of messages")
    }
  }
}
