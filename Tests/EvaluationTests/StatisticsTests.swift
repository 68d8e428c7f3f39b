import TestSupport
import Testing
import Text

@testable import Evaluation

/// Intervals, exact tests and class scores against SciPy and scikit-learn.
@Suite struct StatisticsTests {
  private let golden: JSON

  init() throws { golden = try Goldens.json("evaluation/statistics.json") }

  @Test func wilsonIntervals() throws {
    let cases = try #require(golden["intervals"]?.array)
    #expect(cases.count == 7)
    for item in cases {
      let proportion = Proportion(try #require(item["count"]?.int), of: try #require(item["total"]?.int))
      #expect(abs(proportion.low - (try #require(item["low"]?.double))) < 1e-12)
      #expect(abs(proportion.high - (try #require(item["high"]?.double))) < 1e-12)
    }
    let none = Proportion(0, of: 0)
    #expect((none.value, none.low, none.high) == (0, 0, 1))
  }

  @Test func exactTests() throws {
    let cases = try #require(golden["exact_tests"]?.array)
    #expect(cases.count == 9)
    for item in cases {
      let (b, c) = (try #require(item["only_before"]?.int), try #require(item["only_after"]?.int))
      let p = try #require(item["p_value"]?.double)
      #expect(abs(PairedComparison.exactPValue(b, c) / p - 1) < 1e-10, "\(b) \(c)")
    }
  }

  @Test func pairsAreCounted() throws {
    let before = [true, true, false, false, true, false]
    let after = [true, false, true, false, true, true]
    let comparison = try PairedComparison(before: before, after: after)
    #expect(
      [comparison.both, comparison.onlyBefore, comparison.onlyAfter, comparison.neither] == [2, 1, 2, 1])
    #expect(comparison.before == Proportion(3, of: 6) && comparison.after == Proportion(4, of: 6))
    #expect(comparison.pValue == 1)
    #expect(throws: EvaluationError.self) { try PairedComparison(before: [true], after: []) }
  }

  @Test func classScores() throws {
    let item = try #require(golden["classes"])
    func numbers(_ key: String) throws -> [Double] { try #require(item[key]?.array).compactMap(\.double) }
    let truths = try numbers("truths").map { Int($0) }
    let report = try ClassificationReport(
      labels: ["a", "b", "c", "d"], truths: truths, predictions: try numbers("predictions").map { Int($0) },
      losses: truths.map { Double($0) })
    for (index, score) in report.classes.enumerated() {
      #expect(abs(score.precision - (try numbers("precision")[index])) < 1e-12)
      #expect(abs(score.recall - (try numbers("recall")[index])) < 1e-12)
      #expect(abs(score.f1 - (try numbers("f1")[index])) < 1e-12)
      #expect(Double(score.support) == (try numbers("support")[index]))
    }
    #expect(report.confusion == (try #require(item["confusion"]?.array).map { ($0.array ?? []).compactMap(\.int) }))
    #expect(report.accuracy.count == 30 && report.accuracy.total == 60)
    #expect(abs(report.macroF1 - (0.6 + 0.7058823529411765) / 4) < 1e-12)
    #expect(abs(report.meanLoss - 66.0 / 60) < 1e-12)
  }

  @Test func wrongListsAreRefused() {
    for (truths, predictions, losses) in [([], [], []), ([0], [0, 1], [0]), ([0], [2], [0])] as [([Int], [Int], [Double])] {
      #expect(throws: EvaluationError.self) {
        try ClassificationReport(labels: ["a", "b"], truths: truths, predictions: predictions, losses: losses)
      }
    }
  }
}
