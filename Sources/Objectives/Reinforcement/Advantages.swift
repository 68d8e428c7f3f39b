/// What rewards are divided by to make advantages.
public enum RewardScale: String, Sendable, Hashable, CaseIterable {
  /// The deviation of the answers to one prompt.
  case group
  /// The deviation of all answers. Liu et al., arXiv:2508.08221.
  case batch
  /// Nothing. Liu et al., arXiv:2503.20783.
  case none
}

/// Advantages of whole answers, from what each is worth beside the others. Answers that nothing was said of (nil) count for nothing,
/// and have an advantage of 0. Deviations are those of a sample: they divide by n − 1.
public enum GroupAdvantages {
  /// (r − mean of the group)/(deviation + 10⁻⁴). Shao et al., arXiv:2402.03300.
  ///
  /// - Parameters:
  ///   - rewards: of the answers, those to one prompt together.
  ///   - size: answers to a prompt.
  ///   - scale: which deviation.
  public static func standardized(_ rewards: [Double?], size: Int, scale: RewardScale = .group) -> [Double] {
    let all = Spread(rewards).deviation
    return groups(rewards, size).flatMap { group in
      let spread = Spread(group)
      return group.map { reward -> Double in
        guard let reward, let mean = spread.mean else { return 0 }
        switch scale {
        case .none: return reward - mean
        case .group: return spread.deviation.map { (reward - mean) / ($0 + 1e-4) } ?? 0
        case .batch: return all.map { (reward - mean) / ($0 + 1e-4) } ?? 0
        }
      }
    }
  }

  /// r − mean of the other answers to the prompt. Ahmadian et al., arXiv:2402.14740.
  ///
  /// - Parameters:
  ///   - rewards: of the answers, those to one prompt together.
  ///   - size: answers to a prompt.
  ///   - normalizes: whether they are brought to mean 0 and deviation 1 over all answers.
  public static func leaveOneOut(_ rewards: [Double?], size: Int, normalizes: Bool = false) -> [Double] {
    let advantages: [Double?] = groups(rewards, size).flatMap { group in
      let known = group.compactMap { $0 }
      let sum = known.reduce(0, +)
      return group.map { reward -> Double? in
        reward.flatMap { known.count > 1 ? $0 - (sum - $0) / Double(known.count - 1) : nil }
      }
    }
    guard normalizes else { return advantages.map { $0 ?? 0 } }
    let spread = Spread(advantages)
    return advantages.map { advantage -> Double in
      guard let advantage, let mean = spread.mean, let deviation = spread.deviation else { return 0 }
      return (advantage - mean) / (deviation + 1e-4)
    }
  }

  /// Which groups have nothing to tell: all answers are worth the same, or fewer than two are worth anything that is known.
  public static func silent(_ rewards: [Double?], size: Int) -> [Bool] {
    groups(rewards, size).map { group in
      let known = group.compactMap { $0 }
      guard known.count > 1, let low = known.min(), let high = known.max() else { return true }
      return high - low <= 1e-8 + 1e-5 * abs(high)
    }
  }

  private static func groups(_ rewards: [Double?], _ size: Int) -> [ArraySlice<Double?>] {
    stride(from: 0, to: rewards.count, by: max(1, size)).map { rewards[$0..<min($0 + max(1, size), rewards.count)] }
  }
}

/// Mean and deviation of what is known.
struct Spread {
  let mean: Double?
  /// Divides by n − 1; nil for fewer than two numbers.
  let deviation: Double?

  init(_ numbers: some Collection<Double?>) {
    let known = numbers.compactMap { $0 }
    guard !known.isEmpty else {
      (mean, deviation) = (nil, nil)
      return
    }
    let mean = known.reduce(0, +) / Double(known.count)
    self.mean = mean
    let squares = known.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    deviation = known.count > 1 ? (squares / Double(known.count - 1)).squareRoot() : nil
  }
}
