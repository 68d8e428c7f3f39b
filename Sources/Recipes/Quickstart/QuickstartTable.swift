import Evaluation
import Foundation

extension QuickstartSummary {
  /// The table the quickstart prints.
  public var table: String {
    var lines = [
      "\(model), \(heldOut) held-out snippets, \(trainingSamples) to tune on, \(dtype), seed \(seed)", "",
      row("", "accuracy", "95 % interval", "loss", "time"),
    ]
    for measure in measures {
      let accuracy = measure.report.accuracy
      lines.append(
        row(
          measure.name, percent(accuracy.value), "\(percent(accuracy.low)) … \(percent(accuracy.high))",
          String(format: "%.3f", measure.report.meanLoss), String(format: "%.1f s", measure.seconds)))
    }
    lines.append("")
    if let comparison {
      lines.append(
        "tuned against zero-shot: \(comparison.onlyAfter) snippets gained, \(comparison.onlyBefore) lost, "
          + String(format: "p = %.2g (McNemar)", comparison.pValue))
    }
    lines += [
      "tuning: \(steps) steps, \(tokens) tokens in \(String(format: "%.0f s", trainingSeconds)) = "
        + "\(String(format: "%.0f", tokensPerSecond)) tokens/s"
        + (trainingLoss.map { String(format: ", last loss %.3f", $0) } ?? ""),
      "tuned \(trainableParameters) of \(totalParameters) parameters "
        + "(\(String(format: "%.2f", 100 * Double(trainableParameters) / Double(totalParameters))) %), adapter "
        + String(format: "%.1f MB", Double(adapterBytes) / 1e6),
      "whole run \(String(format: "%.0f s", totalSeconds)), peak memory \(peakMemoryBytes / 1_000_000) MB",
    ]
    return lines.joined(separator: "\n")
  }

  private func percent(_ share: Double) -> String { String(format: "%.1f %%", 100 * share) }

  private func row(_ cells: String...) -> String {
    let widths = [26, 10, 19, 8, 10]
    return zip(cells, widths).enumerated().map { index, cell in
      let gap = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
      return index == 0 ? cell.0 + gap : gap + cell.0
    }.joined()
  }
}
