/// Advantages of single tokens, from a reward at each token.
public enum TokenAdvantages {
  /// What each token of one answer is worth: the price of leaving the reference, −β(ln p − ln p of the reference), and at the last
  /// token what the whole answer is worth. Ziegler et al., arXiv:1909.08593.
  public static func rewards(score: Double, logProbs: [Double], references: [Double], beta: Double) -> [Double] {
    var rewards = zip(logProbs, references).map { -beta * ($0 - $1) }
    if references.isEmpty { rewards = logProbs.map { _ in 0 } }
    if !rewards.isEmpty { rewards[rewards.count - 1] += score }
    return rewards
  }

  /// Generalized advantage estimation over one answer: A_t = δ_t + γλ·A_{t+1}, δ_t = r_t + γ·v_{t+1} − v_t, nothing after the last
  /// token. Returns are A + v. Schulman et al., arXiv:1506.02438.
  public static func generalized(
    rewards: [Double], values: [Double], gamma: Double, lambda: Double
  ) -> (advantages: [Double], returns: [Double]) {
    var advantages = [Double](repeating: 0, count: rewards.count)
    var (next, nextValue) = (0.0, 0.0)
    for place in rewards.indices.reversed() {
      let error = rewards[place] + gamma * nextValue - values[place]
      next = error + gamma * lambda * next
      nextValue = values[place]
      advantages[place] = next
    }
    return (advantages, zip(advantages, values).map { $0 + $1 })
  }

  /// What comes after each token, the token's own reward included: Σ γ^k·r_{t+k}.
  public static func returns(rewards: [Double], gamma: Double = 1) -> [Double] {
    var returns = rewards
    for place in rewards.indices.dropLast().reversed() { returns[place] += gamma * returns[place + 1] }
    return returns
  }

  /// Numbers over all tokens of all answers brought to deviation 1, (x − mean)/√(variance + 10⁻⁸), and to mean 0 unless they keep theirs.
  /// The variance divides by n − 1. Fewer than two numbers stay as they are.
  public static func whitened(_ answers: [[Double]], keepsMean: Bool = false) -> [[Double]] {
    let spread = Spread(answers.flatMap { $0 }.map(Optional.some))
    guard let mean = spread.mean, let deviation = spread.deviation else { return answers }
    let scale = 1 / (deviation * deviation + 1e-8).squareRoot()
    return answers.map { answer in answer.map { ($0 - mean) * scale + (keepsMean ? mean : 0) } }
  }
}

/// How strongly a policy is held to its reference through its rewards.
public struct DivergenceControl: Sendable, Hashable, Codable {
  /// β as it stands.
  public private(set) var beta: Double
  /// The divergence that β is moved towards, summed over an answer; nil to leave β alone.
  public let target: Double?
  /// Answers in which β moves by its own size at most, divided by 0.2.
  public let horizon: Double

  /// A control that starts at `beta`.
  public init(beta: Double, target: Double? = nil, horizon: Double = 10_000) {
    (self.beta, self.target, self.horizon) = (beta, target, horizon)
  }

  /// Moves β after `answers` answers: β ← β·(1 + clip(KL/target − 1, ±0.2)·answers/horizon). Ziegler et al., arXiv:1909.08593.
  public mutating func observe(divergence: Double, answers: Int) {
    guard let target, divergence.isFinite else { return }
    let error = min(0.2, max(-0.2, divergence / target - 1))
    beta *= 1 + error * Double(answers) / horizon
  }
}
