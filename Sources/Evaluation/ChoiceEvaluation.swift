import Foundation
import Generation

/// What choices of different lengths are compared by.
public enum ChoiceNormalization: String, Sendable, Hashable, Codable, CaseIterable {
  /// Σ ln p of the tokens.
  case none
  /// Σ ln p divided by the number of tokens.
  case tokens
}

/// Classification by the likeliest of given continuations.
public struct ChoiceEvaluation {
  /// Gives the scores.
  public var scorer: ChoiceScorer
  /// What choices are compared by.
  public var normalization: ChoiceNormalization

  /// What a run came to.
  public struct Outcome: Sendable, Hashable, Codable {
    /// Σ ln p of each choice of each item.
    public let logProbs: [[Double]]
    /// The choice taken for each item; the first of equals.
    public let predictions: [Int]
    /// Whether it is the right one, for a ``PairedComparison``.
    public let isRight: [Bool]
    /// The measures.
    public let report: ClassificationReport
  }

  /// An evaluation that compares choices by `normalization`.
  public init(_ scorer: ChoiceScorer, normalization: ChoiceNormalization = .none) {
    self.scorer = scorer
    self.normalization = normalization
  }

  /// Takes the likeliest choice of each item and compares it with the right one.
  ///
  /// - Parameters:
  ///   - items: prompts with choices; choice i of each stands for label i, and an item may have fewer choices than there are labels.
  ///   - labels: the names of the classes.
  /// - Throws: ``EvaluationError`` where there are no items, or an item has no choices, more than labels, or an answer that is
  ///   none of them; what ``ChoiceScorer/logProbs(_:)`` throws.
  public func run(_ items: [ChoiceItem], labels: [String]) throws -> Outcome {
    for (index, item) in items.enumerated() {
      guard (1...max(1, labels.count)).contains(item.choices.count), item.choices.indices.contains(item.answer) else {
        throw EvaluationError(
          "item \(index) has \(item.choices.count) choices and the answer \(item.answer); the labels are \(labels.count)")
      }
    }
    let sums = try scorer.logProbs(items)
    let predictions = zip(items, sums).map { item, sums in
      let values = zip(item.choices, sums).map { normalization == .tokens ? $1 / Double($0.count) : $1 }
      return values.indices.max { values[$0] < values[$1] } ?? 0
    }
    let report = try ClassificationReport(
      labels: labels, truths: items.map(\.answer), predictions: predictions, losses: zip(items, sums).map { -$1[$0.answer] })
    return Outcome(
      logProbs: sums, predictions: predictions, isRight: zip(items, predictions).map { $0.answer == $1 }, report: report)
  }
}
