import Foundation

/// What a rater says of two answers.
public enum Choice: String, Sendable, Hashable, CaseIterable, Codable {
  /// The first answer of the pair is better.
  case a
  /// The second one is.
  case b
  /// They are equally good.
  case tie
  /// The rater does not want to say.
  case skip

  /// The same with the two answers exchanged.
  public var exchanged: Choice {
    switch self {
    case .a: .b
    case .b: .a
    case .tie, .skip: self
    }
  }
}

/// Which answer of a pair is shown first.
public enum AnswerOrder: String, Sendable, Hashable, CaseIterable, Codable {
  /// The first, then the second.
  case ab
  /// The second, then the first.
  case ba
}

/// Two answers to one prompt.
///
/// Which of them is `a` depends on their text alone, not on the file they came from: where a file puts the better one first, `a`
/// is not always the better one.
public struct AnswerPair: Sendable, Hashable {
  /// Its number in the store.
  public let id: Int64
  /// What both answer.
  public let prompt: Passage
  /// JSON schemas of the tools on offer, as JSON text; nil for none.
  public let tools: String?
  /// An answer.
  public let a: Passage
  /// The other one.
  public let b: Passage
  /// Where it came from: `file:line`, or what made it.
  public let source: String?

  /// The answers as they are shown.
  public func shown(_ order: AnswerOrder) -> (first: Passage, second: Passage) { order == .ab ? (a, b) : (b, a) }
}

/// Who says which answer is better.
public struct Rater: Sendable, Hashable {
  /// What a rater is.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// Somebody at a terminal.
    case person
    /// A model.
    case judge
    /// A file of preferences.
    case data
  }

  /// How the verdicts on one pair make one opinion.
  public enum Combination: Sendable, Hashable {
    /// The newest verdict counts: a person sees a pair in one order.
    case newest
    /// Both orders have to choose the same answer; else it is a tie.
    case agreement
    /// The mean of P(a is better) over both orders decides: a above ½ + margin, b below ½ − margin, else a tie.
    case mean(margin: Double)
  }

  /// A name that is the rater's own.
  public let name: String
  /// What it is.
  public let kind: Kind
  /// The model that judges; nil for people.
  public let model: String?
  /// What it judges by; nil where that is left to the rater.
  public let rubric: String?
  /// How its verdicts make opinions.
  public let combination: Combination

  /// A rater.
  public init(_ name: String, kind: Kind, model: String? = nil, rubric: String? = nil, combination: Combination = .newest) {
    (self.name, self.kind, self.model, self.rubric, self.combination) = (name, kind, model, rubric, combination)
  }
}

/// What was said, when, and how the answers stood.
public struct Verdict: Sendable, Hashable {
  /// What was said.
  public var choice: Choice
  /// How the answers stood.
  public var shown: AnswerOrder
  /// P(a is better), 0 … 1, where the rater gives one.
  public var probability: Double?
  /// Why, in the rater's words.
  public var reason: String?
  /// When.
  public var date: Date

  /// A verdict.
  public init(_ choice: Choice, shown: AnswerOrder, probability: Double? = nil, reason: String? = nil, date: Date = Date()) {
    (self.choice, self.shown, self.probability, self.reason, self.date) = (choice, shown, probability, reason, date)
  }

  /// True where the answer that was shown first is the better one.
  public var choosesFirst: Bool { choice == (shown == .ab ? .a : .b) }
  /// True where one answer is the better one.
  public var isDecided: Bool { choice == .a || choice == .b }
}

/// What one rater's verdicts on one pair come to.
public struct Opinion: Sendable, Hashable {
  /// The pair's number.
  public let pair: Int64
  /// The rater's name.
  public let rater: String
  /// What it thinks; nil where an order is yet to be judged.
  public let choice: Choice?
}

extension Rater.Combination {
  /// What verdicts on one pair come to, oldest first; nil where an order is missing.
  func opinion(_ verdicts: [Verdict]) -> Choice? {
    let byOrder = AnswerOrder.allCases.compactMap { order in verdicts.last { $0.shown == order } }
    switch self {
    case .newest: return verdicts.last?.choice
    case .agreement:
      guard byOrder.count == 2 else { return nil }
      return byOrder[0].choice == byOrder[1].choice ? byOrder[0].choice : .tie
    case .mean(let margin):
      guard byOrder.count == 2 else { return nil }
      let values = byOrder.map { $0.probability ?? ($0.choice == .a ? 1 : $0.choice == .b ? 0 : 0.5) }
      let mean = (values[0] + values[1]) / 2
      return mean > 0.5 + margin ? .a : mean < 0.5 - margin ? .b : .tie
    }
  }
}
