import Foundation
import Text

extension DatasetFormat {
  /// TRL's `chosen` and `rejected`: two answers to one `prompt`, as texts or as lists of messages. Without a prompt it is what both
  /// have in common at the start. Also LLaMA-Factory's `conversations` with two turns, and Alpaca's keys with two texts.
  public static let preference = DatasetFormat(
    name: "preference",
    layout:
      "chosen, rejected as texts or as lists of messages, and maybe prompt, margin, tools; or those with conversations, or instruction",
    required: ["chosen", "rejected"]
  ) { row throws(RowProblem) in
    let (chosen, rejected): (Sample.Content, Sample.Content)
    if row["conversations"] != nil {
      (chosen, rejected) = try ranking(row)
    } else if row["instruction"] != nil {
      let prompt = try AlpacaReader(row: row).prompt()
      (chosen, rejected) = (
        .continuation(prompt: prompt, completion: [Message(role: "assistant", content: try row.text("chosen"))]),
        .continuation(prompt: prompt, completion: [Message(role: "assistant", content: try row.text("rejected"))])
      )
    } else {
      (chosen, rejected) = try pair(row)
    }
    var sample = Sample(
      .ranking([chosen, rejected]), tools: try ToolReader(row: row).tools(), location: row.location)
    if let margin = try row.optionalNumber("margin") { sample.grades = [margin] }
    return sample
  }

  private static func pair(_ row: Row) throws(RowProblem) -> (chosen: Sample.Content, rejected: Sample.Content) {
    guard let chosen = row["chosen"] else { throw row.missing("chosen", expected: "text or a list of messages") }
    guard let rejected = row["rejected"] else { throw row.missing("rejected", expected: "text or a list of messages") }
    switch (chosen, rejected, row["prompt"]) {
    case (.string(let better), .string(let worse), let prompt):
      let start = try prompt.map { value throws(RowProblem) in
        guard let text = value.string else { throw row.wrong("prompt", value, expected: "text, as the answers are,") }
        return text
      }
      let prompt = start ?? shared(better, worse)
      let drop = { (text: String) in start == nil ? String(text.dropFirst(prompt.count)) : text }
      return (
        .completion(prompt: prompt, completion: drop(better)), .completion(prompt: prompt, completion: drop(worse))
      )
    case (.array, .array, let prompt):
      let reader = MessageReader(row: row)
      let (better, worse) = (try reader.messages("chosen"), try reader.messages("rejected"))
      if prompt?.array != nil {
        let prompt = try reader.messages("prompt")
        return (.continuation(prompt: prompt, completion: better), .continuation(prompt: prompt, completion: worse))
      }
      // A text beside whole conversations says again what they begin with, as in UltraFeedback.
      let count = zip(better, worse).prefix { $0 == $1 }.count
      guard count > 0, count < better.count, count < worse.count else {
        throw RowProblem(
          row.location, field: "rejected", "has no turns before the answer in common with “chosen”",
          cure: "Let both begin with the same turns, or write these as “prompt”")
      }
      return (
        .continuation(prompt: Array(better[..<count]), completion: Array(better[count...])),
        .continuation(prompt: Array(worse[..<count]), completion: Array(worse[count...]))
      )
    default:
      let problem = "is \(rejected.kind) while “chosen” is \(chosen.kind)"
      throw RowProblem(row.location, field: "rejected", problem, cure: "Write both as text or both as lists of messages")
    }
  }

  /// What two texts have in common at the start, up to a white space, which the answers keep: no word is torn apart.
  private static func shared(_ a: String, _ b: String) -> String {
    let common = a.commonPrefix(with: b)
    return common.lastIndex(where: \.isWhitespace).map { String(common[..<$0]) } ?? ""
  }

  private static func ranking(_ row: Row) throws(RowProblem) -> (chosen: Sample.Content, rejected: Sample.Content) {
    let reader = ShareGPTReader(row: row)
    let prompt = try reader.messages()
    func answer(_ key: String) throws(RowProblem) -> Sample.Content {
      guard let turn = row[key] else { throw row.missing(key, expected: "a turn with “from” and “value”") }
      return .continuation(prompt: prompt, completion: [try reader.message(turn, field: key)])
    }
    return (try answer("chosen"), try answer("rejected"))
  }
}
