import Datasets
import Generation
import Text

/// Criticises answers by principles, and has them rewritten by the model that gave them.
///
/// Bai et al., “Constitutional AI: Harmlessness from AI Feedback”, arXiv:2212.08073, section 3.1.
struct Constitution {
  let principles: [String]
  let policy: AnsweringPolicy

  /// An answer's way to a better one.
  struct Revision {
    let principle: String
    let critique: String
    let answer: String
  }

  /// One critique and one revision of each answer.
  ///
  /// - Parameters:
  ///   - answers: what to revise, with the prompt of each.
  ///   - streams: a number of its own for each, from which principle and random numbers follow.
  /// - Returns: the revision of each; nil where the context has no room for it, or nothing was written.
  /// - Throws: ``FeedbackStopped``; what generating throws.
  func revised(
    _ answers: [(prompt: FeedbackPrompt, answer: String)], streams: [UInt64], shouldStop: () -> Bool
  ) throws -> [Revision?] {
    let chosen = streams.map { stream in
      var generator = SplitMix64(seed: policy.seed ^ stream &* 0xD134_2543_DE82_EF95)
      return principles[Int(generator.next() % UInt64(principles.count))]
    }
    let questions = zip(answers, chosen).map { pair, principle in
      pair.prompt.messages + [
        Message(role: "assistant", content: pair.answer),
        Message(
          role: "user",
          content: "Criticise your last answer by this principle: \(principle)\nSay in a few sentences where it falls short."),
      ]
    }
    let critiques = try written(questions, streams: streams.map { 2 * $0 }, shouldStop: shouldStop)
    let requests = zip(questions, critiques).map { question, critique in
      critique.map {
        question + [
          Message(role: "assistant", content: $0),
          Message(
            role: "user",
            content: "Write your answer anew, so that the criticism no longer holds. Reply with the new answer and nothing else."),
        ]
      }
    }
    let revisions = try written(requests, streams: streams.map { 2 * $0 + 1 }, shouldStop: shouldStop)
    return zip(chosen, zip(critiques, revisions)).map { principle, texts in
      guard let critique = texts.0, let answer = texts.1 else { return nil }
      return Revision(principle: principle, critique: critique, answer: answer)
    }
  }

  /// What the policy answers to conversations; nil where one is missing, does not fit or is answered with nothing.
  private func written(_ conversations: [[Message]?], streams: [UInt64], shouldStop: () -> Bool) throws -> [String?] {
    let tokens = try conversations.map { try $0.flatMap { try policy.tokens($0) } }
    let places = tokens.indices.filter { tokens[$0] != nil }
    let texts = try policy.continued(
      places.compactMap { tokens[$0] }, streams: places.map { streams[$0] }, shouldStop: shouldStop)
    var result: [String?] = Array(repeating: nil, count: conversations.count)
    for (place, sequence) in zip(places, texts) {
      let text = sequence.text.trimmed
      result[place] = text.isEmpty ? nil : text
    }
    return result
  }
}
