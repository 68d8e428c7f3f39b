import Preferences

/// Two answers in the order in which a judge is to see them.
public struct Question: Sendable, Hashable {
  /// What both answer.
  public let prompt: Passage
  /// The answer shown first, as A.
  public let first: Passage
  /// The answer shown second, as B.
  public let second: Passage

  /// A question.
  public init(prompt: Passage, first: Passage, second: Passage) {
    (self.prompt, self.first, self.second) = (prompt, first, second)
  }

  /// The question of a pair.
  public init(_ pair: AnswerPair, shown: AnswerOrder) {
    let answers = pair.shown(shown)
    self.init(prompt: pair.prompt, first: answers.first, second: answers.second)
  }
}

/// What a judge says.
public struct Judgement: Sendable, Hashable {
  /// `a` for the answer shown first, `b` for the second, or a tie.
  public let choice: Choice
  /// P(the answer shown first is better), where the judge gives one.
  public let probability: Double?
  /// Why, in the judge's words.
  public let reason: String?

  /// A judgement.
  public init(_ choice: Choice, probability: Double? = nil, reason: String? = nil) {
    (self.choice, self.probability, self.reason) = (choice, probability, reason)
  }
}

/// Why a judge said nothing that can be used.
public struct JudgeFailure: Error, Sendable, Hashable, CustomStringConvertible {
  /// What went wrong.
  public let description: String
  /// Whether every other question would fail in the same way: no such model, no right to use it.
  public let isFatal: Bool

  /// A failure.
  public init(_ description: String, isFatal: Bool = false) { (self.description, self.isFatal) = (description, isFatal) }
}

/// What compares two answers.
public protocol Judge {
  /// Judges questions, in any order.
  ///
  /// - Parameters:
  ///   - questions: what to judge.
  ///   - shouldStop: asked between questions, and while one waits; what is under way may be given up then.
  ///   - deliver: gets the place of a question in the list and what came of it, as soon as it is there, on the caller's thread.
  /// - Throws: what `deliver` throws; a judge's own failures are delivered.
  func judge(
    _ questions: [Question], shouldStop: () -> Bool, deliver: (Int, Result<Judgement, JudgeFailure>) throws -> Void
  ) throws
}
