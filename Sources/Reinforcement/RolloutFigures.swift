import Generation
import Objectives
import OrderedCollections
import Rewards

extension Figures {
  /// What is reported of a round of answers, under TRL's names.
  mutating func add(_ round: RolloutSampler.Round, size: Int, replaced: Int) {
    let rewards = round.rollouts.map(\.reward)
    let known = rewards.compactMap { $0 }
    add("reward", known)
    add("reward_std", [known.sampleDeviation])
    add("rewards/unscored", rewards.map { $0 == nil ? 1 : 0 })
    for name in round.rollouts.first?.parts.keys ?? [] {
      let scores = round.rollouts.compactMap { $0.parts[name] ?? nil }
      add("rewards/\(name)/mean", scores)
      add("rewards/\(name)/std", [scores.sampleDeviation])
    }
    let silent = GroupAdvantages.silent(rewards, size: size)
    add("frac_reward_zero_std", silent.map { $0 ? 1 : 0 })
    add("groups_replaced", [Double(replaced)])
    let completions = round.rollouts.map(\.completion)
    add("completions/mean_length", completions.map { Double($0.ids.count) })
    add("completions/max_length", [Double(completions.map(\.ids.count).max() ?? 0)])
    add("completions/clipped_ratio", completions.map { $0.isFinished ? 0 : 1 })
  }
}

extension [Double] {
  /// The deviation, dividing by n − 1; 0 for fewer than two numbers.
  fileprivate var sampleDeviation: Double {
    guard count > 1 else { return 0 }
    let mean = reduce(0, +) / Double(count)
    return (reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count - 1)).squareRoot()
  }
}

extension GenerationTiming {
  /// Seconds of both parts.
  var seconds: Double { prefillSeconds + decodeSeconds }

  mutating func add(_ other: GenerationTiming) {
    promptTokens += other.promptTokens
    newTokens += other.newTokens
    prefillSeconds += other.prefillSeconds
    decodeSeconds += other.decodeSeconds
  }
}
