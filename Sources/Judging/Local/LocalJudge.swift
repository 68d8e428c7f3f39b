import Evaluation
import Foundation
import Generation
import NN
import Preferences
import Text

/// A model that judges by which of the letters A and B it finds likelier as its answer.
///
/// P(first) = p(A)/(p(A) + p(B)): no text is generated, so that there is always a verdict, and it can be told how sure it is.
public struct LocalJudge: Judge {
  /// The rubric.
  public let rubric: Rubric
  private let scorer: ChoiceScorer
  private let encode: ([Message]) throws -> [Int32]
  private let letters: [[Int32]]
  /// Questions that go to the scorer together; what was judged is kept after each.
  public var batchSize = 8

  /// A judge.
  ///
  /// - Parameters:
  ///   - model: the model.
  ///   - tokenizer: its tokenizer.
  ///   - rubric: what to judge by.
  ///   - template: the tokens of a conversation up to the opening of the answer; nil for a model without a chat template, which
  ///     is given the question as text.
  public init(
    _ model: any CausalLM, tokenizer: any Tokenizer, rubric: Rubric, template: (([Message]) throws -> [Int32])?
  ) {
    scorer = ChoiceScorer(model)
    self.rubric = rubric
    let opening = template == nil ? " " : ""
    letters = ["A", "B"].map { tokenizer.encode(opening + $0, addSpecialTokens: false) }
    encode =
      template ?? { messages in
        tokenizer.encode((messages.first?.content ?? "") + "\n\nThe better answer is answer", addSpecialTokens: true)
      }
  }

  /// Judges questions, and delivers what comes of each.
  public func judge(
    _ questions: [Question], shouldStop: () -> Bool, deliver: (Int, Result<Judgement, JudgeFailure>) throws -> Void
  ) throws {
    for start in stride(from: 0, to: questions.count, by: max(1, batchSize)) {
      if shouldStop() { return }
      var items: [(place: Int, item: ChoiceItem)] = []
      for place in start..<min(start + max(1, batchSize), questions.count) {
        do { items.append((place, try item(questions[place]))) } catch {
          try deliver(place, .failure(error as? JudgeFailure ?? JudgeFailure("\(error)")))
        }
      }
      for (place, sums) in zip(items.map(\.place), try scores(items.map(\.item))) { try deliver(place, Self.judgement(sums)) }
    }
  }

  private func item(_ question: Question) throws -> ChoiceItem {
    let tokens = try encode(rubric.messages(question, reply: .letter))
    let needed = tokens.count + (letters.map(\.count).max() ?? 1)
    guard needed <= scorer.model.tokenLimit else {
      throw JudgeFailure("the question has \(needed) tokens, and the judge's context ends at \(scorer.model.tokenLimit)")
    }
    return ChoiceItem(prompt: tokens, choices: letters, answer: 0)
  }

  private func scores(_ items: [ChoiceItem]) throws -> [[Double]] { items.isEmpty ? [] : try scorer.logProbs(items) }

  /// P(A) out of the two log-probabilities.
  static func judgement(_ sums: [Double]) -> Result<Judgement, JudgeFailure> {
    let probability = 1 / (1 + exp(sums[1] - sums[0]))
    guard probability.isFinite else {
      return .failure(JudgeFailure("the judge's scores are no finite numbers: its weights or its adapter are damaged"))
    }
    return .success(Judgement(sums[0] > sums[1] ? .a : sums[0] < sums[1] ? .b : .tie, probability: probability))
  }
}
