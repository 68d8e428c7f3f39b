extension Batch {
  /// Two segments that are answers to one prompt.
  public struct Pair: Sendable, Hashable {
    /// The better one.
    public let better: Int
    /// The worse one.
    public let worse: Int
  }

  /// Every two answers to the same prompt, the better one first, in the order of the prompts.
  public var pairs: [Pair] {
    var (pairs, first) = ([Pair](), 0)
    for (place, rank) in ranks.enumerated() {
      if rank == 0 { first = place }
      for better in first..<place where ranks[better] < rank { pairs.append(Pair(better: better, worse: place)) }
    }
    return pairs
  }

  /// How much better the data call the better one: the difference of their grades, 0 where there are none.
  public func margin(of pair: Pair) -> Double {
    guard let better = grades[pair.better], let worse = grades[pair.worse] else { return 0 }
    return better - worse
  }
}
