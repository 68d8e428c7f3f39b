import Text

extension DatasetFormat {
  /// TRL's prompt-only rows: a `prompt`, as text or as a list of messages, and any other columns, which rewards may read.
  public static let prompt = DatasetFormat(
    name: "prompt", layout: "prompt as text or as a list of messages, and maybe tools and columns for rewards",
    required: ["prompt"],
    excluded: ["completion", "messages", "conversations", "instruction", "chosen", "rejected", "label", "kto_tag", "text"]
  ) { row throws(RowProblem) in
    guard let prompt = row["prompt"] else { throw row.missing("prompt", expected: "text or a list of messages") }
    if let text = prompt.string {
      guard !text.isEmpty else { throw RowProblem(row.location, field: "prompt", "is empty", cure: "Write something to answer") }
      return Sample(.prompt(.text(text)), location: row.location)
    }
    let messages = try MessageReader(row: row).messages("prompt")
    return Sample(.prompt(.messages(messages)), tools: try ToolReader(row: row).tools(), location: row.location)
  }
}
