import Foundation
import Recipes
import Text
import Torch
import Tuners

/// What merging came to, in words and as JSON.
enum MergeFigures {
  static func json(_ report: MergedModel.Report, output: String) -> JSON {
    [
      "output": .string(output), "files": .array(report.files.map(JSON.string)), "dtype": .string(report.dtype.rawValue),
      "max_difference": .double(report.check.maxDifference), "max_score": .double(report.check.maxScore),
      "same_best": .double(report.check.sameBest), "base": report.trials.first.map { .string($0.base.rawValue) } ?? .null,
      "bases": .array(report.trials.map(json)), "quantized": report.requantization.map(json) ?? .null,
      "measured_on": report.text.map(JSON.string) ?? .null, "notes": .array(report.notes.map(JSON.string)),
    ]
  }

  private static func json(_ trial: MergeTrial) -> JSON {
    [
      "base": .string(trial.base.rawValue), "path": .string(trial.path), "kl": .double(trial.divergence),
      "same_best": .double(trial.sameBest),
    ]
  }

  private static func json(_ loss: RequantizationLoss) -> JSON {
    [
      "format": .string(loss.quantization.description), "kl": .double(loss.divergence),
      "kl_before": .double(loss.mergedDivergence), "same_best": .double(loss.sameBest),
    ]
  }

  static func words(_ report: MergedModel.Report, output: String) -> String {
    let check = report.check
    let files = report.files.map { "wrote \(output)/\($0)\n" }.joined()
    let exactness =
      "weights \(report.dtype.rawValue); scores differ by at most \(digits(check.maxDifference, 2)) (largest score "
      + "\(digits(check.maxScore, 3))); the likeliest token is the same at \(percent(check.sameBest)) of places\n"
    guard let kept = report.trials.first else { return files + exactness }
    let others = report.trials.dropFirst().map { "; \(words($0))" }.joined()
    return files + exactness
      + "merged into the \(words(kept))\(others); KL from the model with its adapters, on \(report.text ?? "")\n"
  }

  static func words(_ loss: RequantizationLoss) -> String {
    "quantizing the merged weights as \(loss.quantization) puts the model \(nats(loss.divergence)) from the one with its adapters, where "
      + "it was \(nats(loss.mergedDivergence)) before; the likeliest token is the same at \(percent(loss.sameBest)) of places"
  }

  private static func words(_ trial: MergeTrial) -> String { "\(trial.base.rawValue) base: \(nats(trial.divergence))" }
  private static func nats(_ value: Double) -> String { digits(value, 3) + " nats a token" }
  private static func percent(_ share: Double) -> String { "\(Int((share * 100).rounded())) %" }
  private static func digits(_ value: Double, _ count: Int) -> String {
    value.formatted(.number.precision(.significantDigits(count)).grouping(.never))
  }
}
