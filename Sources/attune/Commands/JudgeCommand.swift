import ArgumentParser
import Checkpoints
import Evaluation
import Foundation
import Judging
import OrderedCollections
import Preferences
import Recipes
import Text

/// `attune judge`: preferences of a model.
struct JudgeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "judge",
    abstract: "Have a model say which of two answers is better.",
    discussion: """
      Each pair is judged in both orders, by a rubric. A local model answers A or B, whichever it finds likelier; a model behind an \
      OpenAI-compatible endpoint (--endpoint URL --model NAME) answers in words, with the key out of an environment variable. Every \
      verdict is in the store at once: the same command goes on where it was stopped, and tries again what failed.

      Example:
        attune judge --store support.sqlite --input pairs.jsonl --model smollm2 --output preferences.jsonl
      """)

  @OptionGroup var store: StoreArguments

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "Pairs to add first: preference data, or lines {\"prompt\": …, \"answers\": [two or more]}.", valueName: "file"))
  var input: String?

  @Option(
    name: .shortAndLong, help: ArgumentHelp("Where to write what this judge prefers, as preference data.", valueName: "file"))
  var output: String?

  @OptionGroup(title: "Judge") var judge: JudgeArguments

  @OptionGroup(title: "Endpoint") var endpoint: EndpointArguments

  @OptionGroup(title: "Machine") var machine: MachineArguments

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard endpoint.url == nil else {
      guard judge.adapter.isEmpty else { throw ValidationError("--adapter is for a local judge; an endpoint has its own") }
      return
    }
    let given = endpoint.given
    guard given.isEmpty else { throw ValidationError("\(given.joined(separator: ", ")) needs --endpoint") }
  }

  func run() throws {
    var settings = JudgeSettings(
      try endpoint.settings(model: judge.model).map { .endpoint($0) } ?? .local(model: judge.model, adapters: judge.adapter))
    try judge.apply(to: &settings)
    let store = try PreferenceStore(store.store, creating: input != nil)
    if let input {
      Log.note("\(input): \(try store.take(PairFile.read(input, chosenBy: input), withVerdicts: false).summary)")
    }
    guard try !store.pairs().isEmpty else { throw CommandError("the store has no pairs; add some with --input") }
    try store.register(settings.rater)
    var run = JudgeRun(
      store, as: settings.rater, judge: try settings.judge(options: machine.options, anyBase: judge.anyBase))
    run.failureLimit = settings.failureLimit
    let report = try StopSignal.handling {
      try run.run(shouldStop: { StopSignal.isSet }) { Progress.show($0.judged + $0.failed, of: $0.total, "questions judged") }
    }
    Progress.clear()
    try finish(report, store, settings.rater)
  }

  private func finish(_ report: JudgeRun.Report, _ store: PreferenceStore, _ rater: Rater) throws {
    let export = try PreferenceExport(store, raters: [rater.name])
    if let output {
      try AtomicFile.write(to: URL(filePath: output)) { sink in for row in export.rows { try sink.write(row.text() + "\n") } }
    }
    let summary = JudgeSummary(
      report: report, export: export, rater: try PreferenceStatistics(store).raters.first { $0.rater.name == rater.name })
    try Terminal.output.write(json ? summary.json.text() + "\n" : summary.lines.joined(separator: "\n") + "\n")
    switch report.ending {
    case nil: return
    case .stopped: throw Interrupted()
    case .refused(let words): throw CommandError("\(words); what was judged is in the store, and the same command goes on")
    case .failing(let count, let words):
      throw CommandError(
        "\(count) questions in a row failed, the last one since \(words); what was judged is in the store, and the same command goes on"
      )
    }
  }
}

/// What a judge said, for people and programs.
private struct JudgeSummary {
  let report: JudgeRun.Report
  let export: PreferenceExport
  let rater: PreferenceStatistics.OfRater?

  private var position: Proportion { Proportion(rater?.choseFirst ?? 0, of: rater?.decided ?? 0) }
  private var consistency: Proportion { Proportion(rater?.consistent ?? 0, of: rater?.bothOrders ?? 0) }

  var lines: [String] {
    var lines = [
      "judged now      \(report.judged) of \(report.total) questions, \(report.failed) failed",
      "preferences     \(export.rows.count), and \(export.ties) ties",
      "both orders     \(consistency.words) of pairs get the same verdict in both",
      "shown first     \(position.words) of verdicts are for the answer shown first",
    ]
    let failures = rater?.failures ?? []
    if !failures.isEmpty { lines.append("failures        \(failures.count), tried again by the next run") }
    lines += failures.prefix(5).map { "  pair \($0.pair), \($0.shown.rawValue): \($0.problem)" }
    if failures.count > 5 { lines.append("  … and \(failures.count - 5) more") }
    return lines
  }

  var json: JSON {
    let ending: JSON =
      switch report.ending {
      case nil: .null
      case .stopped: "stopped"
      case .refused(let words), .failing(_, let words): .string(words)
      }
    return [
      "judged": .int(report.judged), "failed": .int(report.failed), "questions": .int(report.total),
      "preferences": .int(export.rows.count), "ties": .int(export.ties), "undecided": .int(export.undecided),
      "both_orders": .int(consistency.total), "consistent": .int(consistency.count), "decided": .int(position.total),
      "chose_first": .int(position.count), "chose_first_low": .double(position.low), "chose_first_high": .double(position.high),
      "failures": .array(
        (rater?.failures ?? []).map {
          ["pair": .int(Int($0.pair)), "shown": .string($0.shown.rawValue), "problem": .string($0.problem)]
        }), "ended_early": ending,
    ]
  }
}

extension Proportion {
  /// `61.3 % (55.0 … 67.2)`.
  fileprivate var words: String {
    guard total > 0 else { return "–" }
    return String(format: "%.1f %% (%.1f … %.1f)", 100 * value, 100 * low, 100 * high)
  }
}
