extension Batch {
  /// Two segments that are answers to one prompt.
  public struct Pair: Sendable, Hashable {
    /// The better one.
    public let better: Int
    /// The worse one.
    public let worse: Int
  }

  /// Every two answers to the same prompt of which one is better, that one first, in the order of the prompts. Answers with equal scores
  /// make no pair.
  public var pairs: [Pair] {
    var (pairs, first) = ([Pair](), 0)
    for (place, rank) in ranks.enumerated() {
      if rank == 0 { first = place }
      for better in first..<place where grades[better] == nil || grades[better] != grades[place] {
        pairs.append(Pair(better: better, worse: place))
      }
    }
    return pairs
  }

  /// How much better the data call the better one: the difference of their scores, or the margin of a pair; 0 where they say nothing.
  public func margin(of pair: Pair) -> Double {
    guard let better = grades[pair.better] else { return 0 }
    return better - (grades[pair.worse] ?? 0)
  }
}
