/// A share of items, with the interval in which the true share lies.
public struct Proportion: Sendable, Hashable, Codable {
  /// Items that count.
  public let count: Int
  /// All items.
  public let total: Int
  /// count/total; 0 where there are no items.
  public let value: Double
  /// Lower end of Wilson's 95 % interval.
  public let low: Double
  /// Upper end of Wilson's 95 % interval.
  public let high: Double

  /// `count` of `total` items.
  ///
  /// The interval is (p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n) with z = 1.96, 0 … 1 where there are no items.
  /// Wilson, JASA 22 (1927) 209–212.
  public init(_ count: Int, of total: Int) {
    self.count = count
    self.total = total
    guard total > 0 else {
      (value, low, high) = (0, 0, 1)
      return
    }
    // The 97.5th percentile of the normal distribution.
    let z = 1.959963984540054
    let n = Double(total)
    let p = Double(count) / n
    let scale = 1 + z * z / n
    let middle = (p + z * z / (2 * n)) / scale
    let half = z * (p * (1 - p) / n + z * z / (4 * n * n)).squareRoot() / scale
    value = p
    low = max(0, middle - half)
    high = min(1, middle + half)
  }
}
