import Datasets
import Generation
import OrderedCollections
import Rewards

/// An answer that the policy drew, and what it is worth.
struct Rollout {
  let prompt: EncodedPrompt
  let completion: Completion
  /// By the rewards, before weighting.
  var parts: OrderedDictionary<String, Double?>
  /// The weighted sum, with penalties and bounds; nil where nothing was said.
  var reward: Double?
}

/// Draws answers and has them scored.
struct RolloutSampler {
  let policy: Policy
  let rewards: RewardSum
  let settings: RolloutSettings

  /// What a round came to.
  struct Round {
    var rollouts: [Rollout] = []
    var problems: [String] = []
    var timing = GenerationTiming()
  }

  /// The most sequences that are drawn at once.
  private static let width = 64

  /// Answers to prompts, those to one prompt together; nil where it was asked to stop.
  ///
  /// - Parameter stream: the number of the first answer among all that the run draws: its random numbers follow from it.
  func round(_ prompts: [EncodedPrompt], stream: UInt64, shouldStop: () -> Bool) throws -> Round? {
    let asked = prompts.flatMap { Array(repeating: $0, count: settings.generations) }
    var generator = Generator(policy.model, tokenizer: policy.tokenizer)
    // Whole groups at once: the answers to a prompt share its pass and its memory.
    generator.batchSize = max(1, Self.width / settings.generations) * settings.generations
    var sampling = settings.sampling
    sampling.seed = settings.seed
    let output = try generator.generate(
      asked.map(\.ids), settings: sampling, streams: asked.indices.map { stream + UInt64($0) }, shouldStop: shouldStop)
    guard !output.sequences.contains(where: { $0.finishReason == .cancelled }) else { return nil }
    let completions = zip(asked, output.sequences).map { prompt, sequence in
      Completion(
        prompt: prompt.text, messages: prompt.messages, text: sequence.text, ids: sequence.ids,
        isFinished: sequence.finishReason == .stopToken || sequence.finishReason == .stopString, columns: prompt.columns)
    }
    let scores = rewards.score(completions)
    var round = Round(problems: scores.problems, timing: output.timing)
    for (index, (prompt, completion)) in zip(asked, completions).enumerated() {
      round.rollouts.append(
        Rollout(
          prompt: prompt, completion: completion, parts: scores.parts.mapValues { $0[index] },
          reward: scores.totals[index].map { worth($0, completion) }))
    }
    return round
  }

  private func worth(_ score: Double, _ completion: Completion) -> Double {
    var worth = score
    if let penalty = settings.missingEOSPenalty, !completion.isFinished { worth -= penalty }
    if let range = settings.rewardRange { worth = min(max(worth, range.lowerBound), range.upperBound) }
    return worth
  }
}
