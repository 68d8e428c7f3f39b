import Foundation
import Generation
import OrderedCollections
import Preferences
import Text

/// What a prompt of a round was answered with.
struct SampledPrompt {
  /// The prompt's place in the round.
  let place: Int
  let prompt: FeedbackPrompt
  /// The answers; none where the prompt does not fit the context.
  var answers: [String]

  /// The line that is kept.
  var json: JSON {
    [
      "place": .int(place), "source": .string(prompt.place), "prompt": prompt.passage.json,
      "answers": .array(answers.map(JSON.string)),
    ]
  }
}

/// Samples the answers of a round, or reads those that were sampled before.
struct AnswerSampling {
  let prompts: [FeedbackPrompt]
  let count: Int
  let log: LineLog

  /// The answers of every prompt.
  ///
  /// - Parameters:
  ///   - policy: what answers; only asked for where something is missing.
  ///   - observe: told how many prompts are answered.
  /// - Throws: ``RecipeError`` where the file belongs to other prompts; ``FeedbackStopped``; what generating throws.
  func run(_ policy: () throws -> AnsweringPolicy, shouldStop: () -> Bool, observe: (Int) -> Void) throws -> [SampledPrompt] {
    var sampled = try known()
    guard sampled.count < prompts.count else { return sampled }
    let policy = try policy()
    let step = max(1, policy.settings.generationBatch / count)
    while sampled.count < prompts.count {
      if shouldStop() { throw FeedbackStopped() }
      let places = sampled.count..<min(sampled.count + step, prompts.count)
      let tokens = try places.map { try policy.tokens(prompts[$0]) }
      let fitting = zip(places, tokens).filter { $0.1 != nil }
      let rows = fitting.flatMap { Array(repeating: $0.1 ?? [], count: count) }
      let streams = fitting.flatMap { place, _ in (0..<count).map { UInt64(place * count + $0) } }
      var texts = try policy.continued(rows, streams: streams, shouldStop: shouldStop).map(\.text.trimmed)[...]
      let new = zip(places, tokens).map { place, tokens in
        let answers = tokens == nil ? [] : Array(texts.prefix(count))
        texts = texts.dropFirst(answers.count)
        return SampledPrompt(place: place, prompt: prompts[place], answers: answers.filter { !$0.isEmpty })
      }
      try log.append(new.map(\.json))
      sampled += new
      observe(sampled.count)
    }
    return sampled
  }

  /// What the file has.
  private func known() throws -> [SampledPrompt] {
    try log.read().enumerated().map { place, line in
      guard prompts.indices.contains(place), line["place"]?.int == place, line["prompt"] == prompts[place].passage.json,
        let answers = line["answers"]?.array?.compactMap(\.string)
      else {
        throw RecipeError(
          "\(log.url.path):\(place + 1) does not answer the prompt that the data have there: the data or the recipe changed since; "
            + "put them back, or start anew with --overwrite")
      }
      return SampledPrompt(place: place, prompt: prompts[place], answers: answers)
    }
  }
}

extension String {
  /// Without white space at both ends.
  var trimmed: String { trimmingCharacters(in: .whitespacesAndNewlines) }
}
