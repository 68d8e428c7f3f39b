import OrderedCollections
import Text

extension DatasetFormat {
  /// Several answers to one prompt: `responses` in the order of their quality, the best one first, or in any order with `scores`. Each is
  /// text or a list of messages; `prompt` is text, taken as it stands, or a list of messages.
  public static let ranking = DatasetFormat(
    name: "ranking", layout: "prompt, responses as a list, the best one first, and maybe scores, one for each, tools",
    required: ["responses"], excluded: ["chosen", "rejected", "label", "kto_tag"]
  ) { row throws(RowProblem) in
    let reader = RankingReader(row: row)
    var answers = try reader.answers()
    guard answers.count > 1 else {
      throw RowProblem(
        row.location, field: "responses", "holds \(answers.count == 1 ? "one answer" : "no answers")",
        cure: "Give it two at least, or leave the row out")
    }
    let scores = try reader.scores(answers.count)
    if !scores.isEmpty {
      let order = answers.indices.sorted { (-scores[$0], $0) < (-scores[$1], $1) }
      answers = order.map { answers[$0] }
    }
    var sample = Sample(.ranking(answers), tools: try ToolReader(row: row).tools(), location: row.location)
    sample.grades = scores.sorted(by: >)
    return sample
  }
}

/// Reads answers to one prompt out of a row.
private struct RankingReader {
  let row: Row

  /// Each answer with the prompt.
  func answers() throws(RowProblem) -> [Sample.Content] {
    var answers: [Sample.Content] = []
    if let prompt = row["prompt"]?.string {
      for (index, value) in try row.list("responses").enumerated() {
        guard let text = value.string else {
          throw row.wrong("responses[\(index)]", value, expected: "text, as the prompt is,")
        }
        answers.append(.completion(prompt: prompt, completion: text))
      }
      return answers
    }
    let prompt = try MessageReader(row: row).messages("prompt")
    for (index, value) in try row.list("responses").enumerated() {
      answers.append(.continuation(prompt: prompt, completion: try turns(value, field: "responses[\(index)]")))
    }
    return answers
  }

  /// Text as an assistant's turn, or messages.
  private func turns(_ value: JSON, field: String) throws(RowProblem) -> [Message] {
    if let text = value.string { return [Message(role: "assistant", content: text)] }
    return try MessageReader(row: Row(location: row.location, fields: [field: value])).messages(field)
  }

  /// As many scores as answers, not all the same; none where the order says it all.
  func scores(_ count: Int) throws(RowProblem) -> [Double] {
    guard row["scores"] != nil else { return [] }
    var scores: [Double] = []
    for (index, value) in try row.list("scores").enumerated() {
      guard let score = value.double, score.isFinite else {
        throw row.wrong("scores[\(index)]", value, expected: "a number")
      }
      scores.append(score)
    }
    guard scores.count == count else {
      throw RowProblem(
        row.location, field: "scores", "holds \(scores.count) numbers for \(count) answers", cure: "Give one for each")
    }
    guard Set(scores).count > 1 else {
      throw RowProblem(
        row.location, field: "scores", "calls all answers equally good, so that no pair of them says anything",
        cure: "Leave the row out")
    }
    return scores
  }
}
