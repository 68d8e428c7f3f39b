import Foundation
import Datasets
import Text
import Torch
import Training

/// A run on one page that needs nothing else: figures, loss curve, recipe.
struct RunReport {
  let recipe: Recipe
  let result: TuneResult
  /// More sections, as HTML, before the recipe.
  var sections: [String] = []

  var html: String {
    let rows = result.training.rows
    let curve = LossCurve(
      training: rows.compactMap { row in row.loss.map { (Double(row.step), $0) } },
      evaluation: rows.compactMap { row in row.evalLoss.map { (Double(row.step), $0) } })
    return """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(escaped(recipe.output))</title>
      <style>
      body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; background: #fff; }
      table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
      td.n { text-align: right; font-variant-numeric: tabular-nums; } pre { background: #f4f5f7; padding: 1rem; overflow-x: auto; }
      svg text { font: 11px system-ui, sans-serif; fill: #57606a; }
      @media (prefers-color-scheme: dark) { body { color: #e6edf3; background: #0d1117; } pre { background: #161b22; } svg text { fill: #8b949e; } }
      </style></head><body>
      <h1>\(escaped(recipe.output))</h1>
      <table>\(figures.map { "<tr><th>\(escaped($0.0))</th><td>\(escaped($0.1))</td></tr>" }.joined())</table>
      \(sections.joined(separator: "\n"))
      <h2>Loss</h2>
      \(curve.svg)
      <h2>Recipe</h2>
      <pre>\(escaped(recipe.yaml))</pre>
      </body></html>

      """
  }

  private var figures: [(String, String)] {
    let (plan, state) = (result.plan, result.training.state)
    var figures = [
      ("Model", recipe.model),
      (
        "Tuned parameters",
        "\(plan.trainableParameters) of \(plan.totalParameters) (\(String(format: "%.3f", plan.percentage)) %)"
      ),
      ("Precision", "\(plan.dtype.rawValue) on \(plan.device), adapter in float32"),
      ("Samples", "\(plan.training.encoded) for training, \(plan.evaluation?.encoded ?? 0) for evaluation"),
      ("Steps", "\(state.step) of \(result.training.totalSteps)"),
      ("Tokens", "\(state.tokens), \(String(format: "%.0f", Double(state.tokens) / max(state.seconds, 1e-9))) a second"),
      ("Time in steps", "\(String(format: "%.1f", state.seconds)) s"),
      ("Peak memory", "\(ProcessMemory.peakBytes / 1_000_000) MB"),
    ]
    if let last = result.training.rows.last(where: { $0.loss != nil })?.loss {
      figures.append(("Last training loss", String(format: "%.4f", last)))
    }
    if let best = state.best {
      figures.append(("Best evaluation loss", "\(String(format: "%.4f", best.loss)) after step \(best.step)"))
    }
    return figures
  }
}

/// A text as HTML shows it.
func escaped(_ text: String) -> String {
  text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;").replacing("\"", with: "&quot;")
}

/// The losses of a run over its steps, as SVG.
struct LossCurve {
  let training: [(step: Double, loss: Double)]
  let evaluation: [(step: Double, loss: Double)]
  /// What the values are.
  var label = "loss"
  /// What the colours stand for.
  var legend = "blue: training, red: evaluation"
  private let size = (width: 720.0, height: 280.0, left: 48.0, bottom: 28.0, top: 10.0, right: 10.0)

  init(training: [(Double, Double)], evaluation: [(Double, Double)]) {
    self.training = training.map { (step: $0.0, loss: $0.1) }
    self.evaluation = evaluation.map { (step: $0.0, loss: $0.1) }
  }

  var svg: String {
    let all = (training + evaluation).filter(\.loss.isFinite)
    guard let lastStep = all.map(\.step).max(), let low = all.map(\.loss).min(), let high = all.map(\.loss).max() else {
      return "<p>No \(label) was logged.</p>"
    }
    let (bottom, span) = (min(low, 0), max(high - min(low, 0), 1e-9))
    func x(_ step: Double) -> Double { size.left + (size.width - size.left - size.right) * step / max(lastStep, 1) }
    func y(_ loss: Double) -> Double { size.top + (size.height - size.top - size.bottom) * (1 - (loss - bottom) / span) }
    func line(_ points: [(step: Double, loss: Double)], _ colour: String) -> String {
      let path = points.filter(\.loss.isFinite).map { String(format: "%.1f,%.1f", x($0.step), y($0.loss)) }.joined(separator: " ")
      return "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"1.5\"/>"
    }
    let grid = (0...4).map { index in
      let loss = bottom + span * Double(index) / 4
      return String(
        format: "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#8884\"/><text x=\"4\" y=\"%.1f\">%.2f</text>",
        size.left,
        size.width - size.right, y(loss), y(loss), y(loss) + 4, loss)
    }
    let marks = evaluation.map {
      String(format: "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"#d1242f\"/>", x($0.step), y($0.loss))
    }
    return """
      <svg viewBox="0 0 \(Int(size.width)) \(Int(size.height))" role="img" aria-label="\(label) by step">
      \(grid.joined())
      <text x="\(size.left)" y="\(size.height - 8)">0</text>
      <text x="\(size.width - size.right - 60)" y="\(size.height - 8)">step \(Int(lastStep))</text>
      \(line(training, "#0969da"))\(line(evaluation, "#d1242f"))\(marks.joined())
      <text x="\(size.width - 210)" y="\(size.top + 12)">\(legend)</text>
      </svg>
      """
  }
}
