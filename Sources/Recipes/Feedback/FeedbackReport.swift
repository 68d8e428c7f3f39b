import Evaluation
import Foundation
import Preferences
import Text

/// A feedback run on one page that needs nothing else: each round in figures, some of its preferences, the recipe.
struct FeedbackReport {
  let recipe: Recipe
  let rounds: [RoundFigures]
  let output: URL
  private static let examples = 3

  var html: String {
    """
    <!doctype html>
    <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
    <title>\(escaped(recipe.output))</title>
    <style>
    body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; background: #fff; }
    table { border-collapse: collapse; } td, th { padding: .2rem 1rem .2rem 0; text-align: left; vertical-align: top; }
    td.n { text-align: right; font-variant-numeric: tabular-nums; } pre { background: #f4f5f7; padding: 1rem; overflow-x: auto; }
    pre { white-space: pre-wrap; }
    @media (prefers-color-scheme: dark) { body { color: #e6edf3; background: #0d1117; } pre { background: #161b22; } }
    </style></head><body>
    <h1>\(escaped(recipe.output))</h1>
    \(table)
    \(rounds.map(preferences).joined(separator: "\n"))
    <h2>Recipe</h2>
    <pre>\(escaped(recipe.yaml))</pre>
    </body></html>

    """
  }

  private var table: String {
    let head = ["Round"] + rounds.map { "\($0.round)" }
    let rows = [head] + Self.rows.map { row in [row.name] + rounds.map(row.value) }
    let cells = rows.map { row in
      "<tr><th>\(escaped(row[0]))</th>\(row.dropFirst().map { "<td class=\"n\">\(escaped($0))</td>" }.joined())</tr>"
    }
    return "<table>\(cells.joined())</table>"
  }

  private static let rows: [(name: String, value: @Sendable (RoundFigures) -> String)] = [
    ("Prompts", { "\($0.prompts)" }), ("Prompts too long for the context", { "\($0.promptsTooLong)" }),
    ("Answers", { "\($0.answers)" }), ("Answers revised", { "\($0.revised)" }), ("Pairs", { "\($0.pairs)" }),
    ("Verdicts", { "\($0.verdicts)" }), ("Questions that failed", { "\($0.failures)" }), ("Ties", { "\($0.ties)" }),
    ("Preferences", { "\($0.preferences)" }), ("Same verdict in both orders", { share($0.consistent, of: $0.bothOrders) }),
    ("Verdicts for the answer shown first", { share($0.choseFirst, of: $0.decided) }),
    ("Words of preferred answers", { number($0.chosenWords, 1) }), ("Words of the others", { number($0.rejectedWords, 1) }),
    ("Steps of tuning", { "\($0.steps)" }), ("Last loss", { number($0.loss, 4) }),
    ("Last reward accuracy", { number($0.rewardAccuracy, 3) }),
  ]

  private static func number(_ value: Double?, _ digits: Int) -> String {
    value.map { String(format: "%.\(digits)f", $0) } ?? "–"
  }

  /// A share with its interval.
  private static func share(_ count: Int, of total: Int) -> String {
    guard total > 0 else { return "–" }
    let share = Proportion(count, of: total)
    return String(format: "%.1f %% (%.1f … %.1f)", 100 * share.value, 100 * share.low, 100 * share.high)
  }

  /// The first preferences of a round.
  private func preferences(of figures: RoundFigures) -> String {
    let lines = (try? LineLog(url: FeedbackRound(figures.round, in: output).preferences).read()) ?? []
    guard !lines.isEmpty else { return "" }
    let examples = lines.prefix(Self.examples).map { line in
      let parts = ["prompt", "chosen", "rejected"].map { key in
        "<tr><th>\(key)</th><td><pre>\(escaped(line[key].flatMap { try? Passage($0) }?.plain ?? ""))</pre></td></tr>"
      }
      return "<table>\(parts.joined())</table>"
    }
    return "<h2>Preferences of round \(figures.round)</h2>\n" + examples.joined(separator: "\n")
  }
}
