import Foundation
import Generation

/// A question with the answers that count as right.
public struct ExactMatchItem: Sendable, Hashable {
  /// Tokens of the question, ready to be continued.
  public var prompt: [Int32]
  /// Right answers.
  public var answers: [String]

  /// A question and its right answers.
  public init(prompt: [Int32], answers: [String]) {
    self.prompt = prompt
    self.answers = answers
  }
}

/// The share of questions whose greedy answer equals a right one, apart from case and white space around it.
public struct ExactMatch {
  /// Writes the answers.
  public var generator: Generator
  /// When an answer ends; the choice of tokens is always greedy.
  public var settings: SamplingSettings

  /// What a run came to.
  public struct Outcome: Sendable, Hashable, Codable {
    /// The answers as they were generated.
    public let answers: [String]
    /// Whether each is right, for a ``PairedComparison``.
    public let isRight: [Bool]
    /// Share of right ones.
    public let accuracy: Proportion
  }

  /// An evaluation whose answers end as `settings` say.
  public init(_ generator: Generator, settings: SamplingSettings) {
    self.generator = generator
    self.settings = settings
    self.settings.temperature = 0
  }

  /// Generates an answer for each item and compares it.
  ///
  /// - Throws: ``EvaluationError`` where there are no items; what the generator throws.
  public func run(_ items: [ExactMatchItem], shouldStop: () -> Bool = { false }) throws -> Outcome {
    guard !items.isEmpty else { throw EvaluationError("there are no questions to answer") }
    let output = try generator.generate(items.map(\.prompt), settings: settings, shouldStop: shouldStop)
    let answers = output.sequences.map(\.text)
    let isRight = zip(items, answers).map { item, answer in
      item.answers.contains { Self.normalized($0) == Self.normalized(answer) }
    }
    return Outcome(answers: answers, isRight: isRight, accuracy: Proportion(isRight.count { $0 }, of: items.count))
  }

  /// The text in lower case, without white space around it.
  public static func normalized(_ text: String) -> String {
    text.trimmingCharacters(in: .whitespacesAndNewlines).lowercased()
  }
}
