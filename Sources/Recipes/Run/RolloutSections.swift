import Foundation
import Reinforcement
import Text
import Training

/// What a report shows of the answers that a run drew: how their worth moved, and the last of them.
struct RolloutSections {
  private let rows: [MetricsRow]
  private let rollouts: [JSON]

  init(_ result: TrainingResult, folder: URL) {
    rows = result.rows
    rollouts = RolloutLog.rows(in: folder, last: 16)
  }

  /// Nothing where the run drew no answers.
  var html: [String] { ["reward", "kl", "objective/kl", "completions/mean_length"].compactMap(curve) + table }

  private func curve(_ name: String) -> String? {
    let points = rows.compactMap { row in row.figures?[name].map { (Double(row.step), $0) } }
    guard !points.isEmpty else { return nil }
    var curve = LossCurve(training: points, evaluation: [])
    (curve.label, curve.legend) = (name, "")
    return "<h2>\(escaped(name))</h2>\n\(curve.svg)"
  }

  private var table: [String] {
    guard !rollouts.isEmpty else { return [] }
    let columns = ["round", "prompt", "completion", "reward", "advantage"]
    let body = rollouts.map { row in
      "<tr>" + columns.map { "<td>\(escaped(String(text(row[$0] ?? .null).prefix(600))))</td>" }.joined() + "</tr>"
    }
    return [
      "<h2>The last answers</h2>\n<table><tr>\(columns.map { "<th>\($0)</th>" }.joined())</tr>\(body.joined())</table>"
    ]
  }

  private func text(_ value: JSON) -> String {
    switch value {
    case .string(let text): text
    case .double(let number): String(format: "%.3f", number)
    default: value.text()
    }
  }
}
