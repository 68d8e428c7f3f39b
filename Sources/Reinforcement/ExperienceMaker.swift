import Datasets
import Generation
import Objectives
import Rewards

/// Turns answers and what they are worth into samples that say what is to be learnt of each token.
struct ExperienceMaker {
  let policy: Policy
  let settings: RolloutSettings
  /// Whether the policy moves before a round is used up, so that what it said in the beginning has to be kept.
  let outlivesSteps: Bool
  /// How strongly the policy is held to the reference at the moment, where rewards do that.
  let beta: Double

  /// What a round is made into.
  struct Made {
    var samples: [EncodedSample]
    /// Mean ln p − ln p of the reference, summed over an answer; nil where there is no reference.
    var divergence: Double?
    /// The advantage of each rollout: the mean of its tokens'.
    var advantages: [Double]
  }

  /// Samples of the answers, in their order; of pairs two for each prompt that tells something, the better one first.
  func make(_ rollouts: [Rollout]) throws -> Made {
    if settings.estimator == .pairs { return try pairs(rollouts) }
    var samples = rollouts.enumerated().map { index, rollout in
      sample(rollout, index: index, isLearnt: !(settings.masksTruncated && !rollout.completion.isFinished))
    }
    let batches = RoundPlan.slices(samples.count, settings.batchSize).map { Batch(Array($0), of: samples) }
    let temperature = settings.sampling.temperature
    let own = settings.estimator.needsOwn || outlivesSteps ? try policy.measure(batches, temperature: temperature) : []
    let reference = settings.needsReference ? try policy.measureReference(batches, temperature: temperature).flatMap { $0 } : []
    let logProbs = own.flatMap(\.logProbs)
    let experience = estimate(
      rollouts.map(\.reward), logProbs: logProbs, values: own.flatMap(\.values), references: reference,
      counts: samples.map(\.targetCount))
    for index in samples.indices { samples[index].experience = experience[index] }
    return Made(
      samples: samples, divergence: Self.divergence(logProbs, reference),
      advantages: experience.map { Self.mean($0.advantages.map(Double.init)) })
  }

  private func sample(_ rollout: Rollout, index: Int, isLearnt: Bool, rank: Int = 0) -> EncodedSample {
    let (prompt, answer) = (rollout.prompt, rollout.completion.ids)
    return EncodedSample(
      ids: prompt.ids + answer, trained: prompt.ids.map { _ in false } + answer.map { _ in isLearnt },
      location: prompt.location, index: index, rank: rank)
  }

  /// The best and the worst answer to each prompt whose answers differ.
  private func pairs(_ rollouts: [Rollout]) throws -> Made {
    var made = Made(samples: [], divergence: nil, advantages: rollouts.map { _ in 0 })
    let silent = GroupAdvantages.silent(rollouts.map(\.reward), size: settings.generations)
    for (group, isSilent) in silent.enumerated() where !isSilent {
      let places = (group * settings.generations..<(group + 1) * settings.generations).filter { rollouts[$0].reward != nil }
      let reward = { (place: Int) in rollouts[place].reward ?? 0 }
      guard let best = places.max(by: { reward($0) < reward($1) }), let worst = places.min(by: { reward($0) < reward($1) })
      else { continue }
      made.samples.append(sample(rollouts[best], index: best, isLearnt: true))
      made.samples.append(sample(rollouts[worst], index: worst, isLearnt: true, rank: 1))
      (made.advantages[best], made.advantages[worst]) = (1, -1)
    }
    let batches = RoundPlan.slices(made.samples.count, 2 * settings.batchSize).map { Batch(Array($0), of: made.samples) }
    let references = try policy.measureReference(batches, temperature: 1).flatMap { $0 }
    for (index, numbers) in references.enumerated() {
      made.samples[index].reference = numbers.reduce(0) { $0 + Double($1) }
    }
    return made
  }

  /// The numbers of each answer's learnt tokens.
  private func estimate(
    _ rewards: [Double?], logProbs: [[Float]], values: [[Float]], references: [[Float]], counts: [Int]
  ) -> [Experience] {
    let (own, reference) = (logProbs.map { $0.map(Double.init) }, references.map { $0.map(Double.init) })
    let old = outlivesSteps ? logProbs : logProbs.map { _ in [] }
    func column(_ all: [[Float]], _ index: Int) -> [Float] { all.isEmpty ? [] : all[index] }
    func whole(_ advantages: [Double]) -> [Experience] {
      counts.indices.map { index in
        Experience(
          advantages: Array(repeating: Float(advantages[index]), count: counts[index]), oldLogProbs: column(old, index),
          referenceLogProbs: column(references, index))
      }
    }
    func priced(_ rewards: [Double?]) -> [[Double]] {
      counts.indices.map { index in
        let ratios = reference.isEmpty ? [] : reference[index]
        return TokenAdvantages.rewards(score: rewards[index] ?? 0, logProbs: own[index], references: ratios, beta: beta)
      }
    }
    /// What nothing was said of is not learnt from.
    func known(_ numbers: [[Double]]) -> [[Double]] { numbers.enumerated().map { rewards[$0] == nil ? [] : $1 } }
    func filled(_ numbers: [[Double]]) -> [[Float]] {
      numbers.enumerated().map { rewards[$0] == nil ? Array(repeating: 0, count: counts[$0]) : $1.map { Float($0) } }
    }
    switch settings.estimator {
    case .group(let scale):
      return whole(GroupAdvantages.standardized(rewards, size: settings.generations, scale: scale))
    case .leaveOneOut(_, let normalizes):
      let less = rewards.enumerated().map { index, reward in
        reward.map { reference.isEmpty ? $0 : $0 - beta * zip(own[index], reference[index]).reduce(0) { $0 + $1.0 - $1.1 } }
      }
      return whole(GroupAdvantages.leaveOneOut(less, size: settings.generations, normalizes: normalizes))
    case .reinforcePlusPlus(_, let hasBaseline):
      let scores = hasBaseline ? baselined(rewards) : rewards
      let advantages = TokenAdvantages.whitened(known(priced(scores).map { TokenAdvantages.returns(rewards: $0) }))
      return zip(whole(counts.map { _ in 0 }), filled(advantages)).map { experience, advantages in
        var experience = experience
        experience.advantages = advantages
        return experience
      }
    case .generalized(let generalized):
      var tokenRewards = priced(rewards)
      if generalized.whitensRewards { tokenRewards = TokenAdvantages.whitened(tokenRewards, keepsMean: true) }
      let estimates = zip(tokenRewards, values).map { rewards, values in
        TokenAdvantages.generalized(
          rewards: rewards, values: values.map(Double.init), gamma: generalized.gamma, lambda: generalized.lambda)
      }
      let advantages = filled(TokenAdvantages.whitened(known(estimates.map(\.advantages))))
      return counts.indices.map { index in
        Experience(
          advantages: advantages[index], oldLogProbs: logProbs[index], referenceLogProbs: [], oldValues: values[index],
          returns: rewards[index] == nil ? values[index] : estimates[index].returns.map { Float($0) })
      }
    case .pairs: return []
    }
  }

  /// Less the mean of the answers to the same prompt.
  private func baselined(_ rewards: [Double?]) -> [Double?] {
    zip(rewards, GroupAdvantages.standardized(rewards, size: settings.generations, scale: .none)).map { $0 == nil ? nil : $1 }
  }

  private static func divergence(_ own: [[Float]], _ reference: [[Float]]) -> Double? {
    guard !own.isEmpty, own.count == reference.count else { return nil }
    return mean(zip(own, reference).map { pair in zip(pair.0, pair.1).reduce(0) { $0 + Double($1.0) - Double($1.1) } })
  }

  private static func mean(_ numbers: [Double]) -> Double { numbers.isEmpty ? 0 : numbers.reduce(0, +) / Double(numbers.count) }
}
