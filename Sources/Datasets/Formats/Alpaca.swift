import Text

extension DatasetFormat {
  /// Stanford Alpaca: `instruction`, `input`, `output`, and LLaMA-Factory's `system` and `history` (pairs of earlier turns).
  ///
  /// The user's turn is the instruction and, where there is one, the input on the next line, as LLaMA-Factory joins them. Answers in
  /// the history are learnt like the last one.
  public static let alpaca = DatasetFormat(
    name: "alpaca", layout: "instruction, output, and maybe input, system, history",
    required: ["instruction", "output"], excluded: ["chosen", "rejected", "label", "kto_tag"]
  ) { row throws(RowProblem) in
    let answer = Message(role: "assistant", content: try row.text("output"))
    return Sample(.conversation(try AlpacaReader(row: row).prompt() + [answer]), location: row.location)
  }
}

/// Reads questions in Alpaca's shape out of a row.
struct AlpacaReader {
  let row: Row

  /// What comes before the answer.
  func prompt() throws(RowProblem) -> [Message] {
    var messages: [Message] = []
    if let system = try row.optionalText("system"), !system.isEmpty { messages.append(Message(role: "system", content: system)) }
    messages += try history()
    let question = [try row.text("instruction"), try row.optionalText("input") ?? ""].filter { !$0.isEmpty }
    messages.append(Message(role: "user", content: question.joined(separator: "\n")))
    return messages
  }

  private func history() throws(RowProblem) -> [Message] {
    guard let value = row["history"], value != "" else { return [] }
    guard let pairs = value.array else { throw row.wrong("history", value, expected: "a list of [question, answer] pairs") }
    var messages: [Message] = []
    for (index, pair) in pairs.enumerated() {
      guard let turns = pair.array, turns.count == 2, let question = turns[0].string, let answer = turns[1].string else {
        let cure = "Write it as [\"question\", \"answer\"]"
        throw RowProblem(row.location, field: "history[\(index)]", "is not a pair of texts", cure: cure)
      }
      messages.append(Message(role: "user", content: question))
      messages.append(Message(role: "assistant", content: answer))
    }
    return messages
  }
}
