import Foundation
import OrderedCollections
import Text

/// A program that scores completions: it reads one JSON object a line and writes one number a line.
///
/// A line in is `{"prompt": …, "completion": …, "finished": true, "columns": {…}}`, with `"messages"` where the prompt is a
/// conversation; a line out is a number, or `null` for nothing to say. Line n out belongs to line n in.
///
/// The program is started for each batch. One that fails, hangs, writes nonsense or too much is reported; completions without a
/// score are not learnt from, and what it wrote before counts.
public struct CommandReward: RewardConfiguration, Reward {
  /// `command`.
  public static let type = "command"
  /// What is run: a program and what it is given, or one text for the shell.
  public let command: [String]
  /// Seconds it may take for a batch.
  public let timeout: Double

  /// `command`, `timeout` (60).
  public init(_ settings: RewardSettings) throws(RewardError) {
    guard let command = try settings.strings("command"), command.first?.isEmpty == false else {
      throw RewardError("command", "is missing: name the program, such as “python3 score.py”")
    }
    self.command = command
    timeout = try settings.double("timeout", in: 0.01...86_400) ?? 60
  }

  /// As a recipe gives them.
  public var settings: OrderedDictionary<String, JSON> {
    ["command": command.count == 1 ? .string(command[0]) : .array(command.map(JSON.string)), "timeout": .double(timeout)]
  }

  /// What the program wrote; nil where it wrote no number.
  public func score(_ completions: [Completion]) -> RewardScores {
    let input = completions.map { line($0).text() + "\n" }.joined()
    do {
      let run = try TimedProgram(command.count == 1 ? ["/bin/sh", "-c", command[0]] : command, timeout: timeout).run(input)
      return scores(of: run, count: completions.count)
    } catch {
      return .none(completions.count, since: "\(error)")
    }
  }

  private func line(_ completion: Completion) -> JSON {
    var members: OrderedDictionary<String, JSON> = [
      "prompt": .string(completion.prompt), "completion": .string(completion.text), "finished": .bool(completion.isFinished),
      "columns": .object(completion.columns),
    ]
    if !completion.messages.isEmpty { members["messages"] = .array(completion.messages.map(\.json)) }
    return .object(members)
  }

  private func scores(of run: TimedProgram.Outcome, count: Int) -> RewardScores {
    var problems = run.problem.map { [$0] } ?? []
    var lines = run.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    // Behind the last line break there is no line; what a program that was stopped had begun there is none either.
    let rest = lines.removeLast()
    if run.problem == nil, !rest.isEmpty { lines.append(rest) }
    guard lines.count <= count else {
      return .none(count, since: "“\(name)” wrote \(lines.count) lines for \(count) completions: whose they are cannot be told")
    }
    var values: [Double?] = []
    for line in lines {
      let text = line.trimmingCharacters(in: .whitespacesAndNewlines)
      let number = Double(text).flatMap { $0.isFinite ? $0 : nil }
      values.append(number)
      if number == nil, text != "null", problems.count < 4 {
        problems.append("“\(name)” wrote “\(text.prefix(80))” on line \(values.count) where a number should stand")
      }
    }
    if lines.count < count { problems.append("“\(name)” wrote \(lines.count) scores for \(count) completions") }
    return RewardScores(values + Array(repeating: nil, count: count - lines.count), problems: problems)
  }

  private var name: String { command.joined(separator: " ") }
}
