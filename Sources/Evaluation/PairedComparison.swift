import Foundation

/// Two runs over the same items: did the second do better, or is it chance?
public struct PairedComparison: Sendable, Hashable, Codable {
  /// Items right in both runs.
  public let both: Int
  /// Items right in the first run only.
  public let onlyBefore: Int
  /// Items right in the second run only.
  public let onlyAfter: Int
  /// Items right in neither.
  public let neither: Int
  /// Share right in the first run.
  public let before: Proportion
  /// Share right in the second run.
  public let after: Proportion
  /// How probable a difference as large is where both runs are equally good: McNemar's exact test, two-sided.
  public let pValue: Double

  /// Compares two runs; element i of each says whether item i was right.
  ///
  /// - Throws: ``EvaluationError`` where the runs differ in length.
  public init(before: [Bool], after: [Bool]) throws(EvaluationError) {
    guard before.count == after.count else {
      throw EvaluationError("runs over \(before.count) and \(after.count) items cannot be compared item by item")
    }
    let pairs = Array(zip(before, after))
    both = pairs.count { $0 && $1 }
    onlyBefore = pairs.count { $0 && !$1 }
    onlyAfter = pairs.count { !$0 && $1 }
    neither = pairs.count { !$0 && !$1 }
    self.before = Proportion(both + onlyBefore, of: pairs.count)
    self.after = Proportion(both + onlyAfter, of: pairs.count)
    pValue = Self.exactPValue(onlyBefore, onlyAfter)
  }

  /// min(1, 2·Σ_{k ≤ min(b, c)} C(b + c, k)/2^(b + c)). McNemar, Psychometrika 12 (1947) 153–157.
  static func exactPValue(_ b: Int, _ c: Int) -> Double {
    let n = b + c
    var logTerm = -Double(n) * log(2)
    var sum = exp(logTerm)
    for k in 1..<max(1, min(b, c) + 1) {
      logTerm += log(Double(n - k + 1) / Double(k))
      sum += exp(logTerm)
    }
    return min(1, 2 * sum)
  }
}
