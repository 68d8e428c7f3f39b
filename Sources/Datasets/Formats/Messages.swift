import Text

extension DatasetFormat {
  /// OpenAI's and TRL's conversations: `messages` with `role`, `content`, `tool_calls` and whatever else the template reads, and `tools`.
  public static let messages = DatasetFormat(
    name: "messages", layout: "messages [{role, content, …}], and maybe tools",
    required: ["messages"], excluded: ["chosen", "rejected", "label", "kto_tag"]
  ) { row throws(RowProblem) in
    let messages = try MessageReader(row: row).messages("messages")
    return Sample(.conversation(messages), tools: try ToolReader(row: row).tools(), location: row.location)
  }
}
