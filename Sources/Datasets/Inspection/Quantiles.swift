/// How some lengths are distributed. Quantile q of n values is the one of rank ⌈q·n⌉ (nearest rank), so each is a length that occurs.
public struct Quantiles: Sendable, Hashable, Codable {
  /// The shortest.
  public var min: Int
  /// The median.
  public var p50: Int
  /// 90 % are not longer.
  public var p90: Int
  /// 95 % are not longer.
  public var p95: Int
  /// 99 % are not longer.
  public var p99: Int
  /// The longest.
  public var max: Int
  /// All together.
  public var sum: Int

  /// The quantiles of `values`; nil where there are none.
  public init?(_ values: [Int]) {
    let sorted = values.sorted()
    guard let first = sorted.first, let last = sorted.last else { return nil }
    func rank(_ percent: Int) -> Int { sorted[Swift.max(0, (percent * sorted.count + 99) / 100 - 1)] }
    min = first
    p50 = rank(50)
    p90 = rank(90)
    p95 = rank(95)
    p99 = rank(99)
    max = last
    sum = sorted.reduce(0, +)
  }

  /// The figures on one line.
  var line: String { "min \(min)  p50 \(p50)  p90 \(p90)  p95 \(p95)  p99 \(p99)  max \(max)  sum \(sum)" }
}
