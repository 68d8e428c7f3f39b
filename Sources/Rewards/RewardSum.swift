import OrderedCollections

/// A weighted sum of rewards, each under its name.
public struct RewardSum {
  /// A reward and how strongly it counts.
  public struct Part {
    /// What reports call it.
    public let name: String
    /// The reward.
    public let reward: any Reward
    /// How strongly it counts; below 0 for what is to be avoided.
    public let weight: Double

    /// A reward with its weight.
    public init(_ name: String, _ reward: any Reward, weight: Double = 1) {
      (self.name, self.reward, self.weight) = (name, reward, weight)
    }
  }

  /// What all rewards say of some completions.
  public struct Scores: Sendable, Hashable {
    /// Σ weight·score of each completion over the rewards that say something of it; nil where none does.
    public var totals: [Double?]
    /// The scores by the name of the reward, before weighting.
    public var parts: OrderedDictionary<String, [Double?]>
    /// What went wrong, by reward.
    public var problems: [String]
  }

  /// The rewards.
  public let parts: [Part]

  /// A sum; of parts with one name the later ones get numbers.
  public init(_ parts: [Part]) {
    var counts: [String: Int] = [:]
    self.parts = parts.map { part in
      counts[part.name, default: 0] += 1
      let number = counts[part.name, default: 1]
      return number == 1 ? part : Part("\(part.name)_\(number)", part.reward, weight: part.weight)
    }
  }

  /// The sums. A reward that gives too few or too many scores, or one that is no number, is reported and passed over there.
  public func score(_ completions: [Completion]) -> Scores {
    var scores = Scores(totals: Array(repeating: nil, count: completions.count), parts: [:], problems: [])
    for part in parts {
      let own = part.reward.score(completions)
      scores.problems += own.problems.map { "\(part.name): \($0)" }
      guard own.values.count == completions.count else {
        scores.problems.append("\(part.name): gave \(own.values.count) scores for \(completions.count) completions; none counts")
        scores.parts[part.name] = Array(repeating: nil, count: completions.count)
        continue
      }
      let finite = own.values.map { $0.flatMap { $0.isFinite ? $0 : nil } }
      if finite != own.values {
        scores.problems.append("\(part.name): gave scores that are no finite numbers; they do not count")
      }
      scores.parts[part.name] = finite
      for (index, value) in finite.enumerated() {
        if let value { scores.totals[index] = (scores.totals[index] ?? 0) + part.weight * value }
      }
    }
    return scores
  }
}
