import Datasets
import Foundation

extension RunPlan {
  /// Memory in one line.
  public var line: String {
    let room = memory.available.map { " of \(Self.size($0)) that there are" } ?? ""
    return "memory: about \(Self.size(memory.peak)) at most\(room)"
  }

  /// Why a run does not start, and what to change.
  func refusal(_ changes: [PlanChange]) -> String {
    let start =
      "this run needs about \(Self.size(memory.peak)) of memory, and there are \(Self.size(memory.available ?? 0)): "
      + "\(Self.size(memory.peak - (memory.available ?? 0))) too much"
    let largest =
      memory.parts.max { $0.bytes < $1.bytes }.map { "; the largest part is “\($0.name)”, \(Self.size($0.bytes))" } ?? ""
    guard !changes.isEmpty else { return start + largest + ". No setting that is known makes it smaller" }
    let lines = changes.map { change in
      "  \(change.settings.map { "--set '\($0)'" }.joined(separator: " "))   \(Self.size(change.peak)), "
        + "\(Self.size(change.saving)) less: \(change.words)"
    }
    return
      ([start + largest + ". Each of these alone, what costs least first:"] + lines
      + ["--fit makes the changes that cost least; --no-plan starts all the same"]).joined(separator: "\n")
  }

  /// A size with three digits: `1.24 GB`.
  public static func size(_ bytes: Int) -> String {
    var (value, unit) = (Double(bytes) / 1e6, "MB")
    if abs(value) >= 1000 { (value, unit) = (value / 1000, "GB") }
    if abs(value) >= 1000 { (value, unit) = (value / 1000, "TB") }
    let digits = abs(value) >= 100 ? 0 : abs(value) >= 10 ? 1 : 2
    return String(format: "%.\(digits)f \(unit)", value)
  }
}
