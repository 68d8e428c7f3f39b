/// How far two raters agree, over the items that both have rated.
public struct Agreement: Sendable, Hashable {
  /// Items that both have rated.
  public let items: Int
  /// Items on which they say the same.
  public let agreed: Int
  /// Cohen's κ; nil where both always say the same one thing, or there are no items: it is 0/0 then.
  public let kappa: Double?

  /// The agreement of two lists of categories, item by item.
  ///
  /// κ = (pₒ − pₑ)/(1 − pₑ), where pₒ is the share of items they agree on and pₑ = Σ p₁(c)·p₂(c) what two raters with the same
  /// shares of each category would agree on by chance. Cohen, Educational and Psychological Measurement 20 (1960) 37–46.
  public init<Category: Hashable>(_ pairs: [(Category, Category)]) {
    items = pairs.count
    agreed = pairs.count { $0.0 == $0.1 }
    guard items > 0 else {
      kappa = nil
      return
    }
    let first = Dictionary(grouping: pairs, by: \.0).mapValues(\.count)
    let second = Dictionary(grouping: pairs, by: \.1).mapValues(\.count)
    // In whole numbers, so that 1 − pₑ is 0 exactly where it is.
    let chance = first.reduce(0) { $0 + $1.value * second[$1.key, default: 0] }
    let square = items * items
    kappa = chance == square ? nil : Double(agreed * items - chance) / Double(square - chance)
  }

  /// The share of items they agree on; nil where there are none.
  public var share: Double? { items > 0 ? Double(agreed) / Double(items) : nil }
}

/// Krippendorff's α for categories without an order: agreement among any number of raters, each of whom may leave items out.
///
/// α = 1 − (n − 1)·Σ o(c, k)/Σ n(c)·n(k), both sums over c ≠ k. o(c, k) counts ordered pairs of values in one item, each divided
/// by the number of values of that item less one; n(c) = Σₖ o(c, k), n = Σ n(c); items with one value count for nothing.
/// Krippendorff, “Computing Krippendorff's Alpha-Reliability”, 2011.
///
/// - Parameter items: the values that each item was given.
/// - Returns: 1 for full agreement, 0 for what chance gives; nil where fewer than two categories occur: it is 0/0 then.
public func krippendorffAlpha<Category: Hashable>(_ items: [[Category]]) -> Double? {
  var totals: [Category: Double] = [:]
  var disagreement = 0.0
  for values in items where values.count > 1 {
    let counts = Dictionary(grouping: values) { $0 }.mapValues { Double($0.count) }
    let size = Double(values.count)
    for (category, count) in counts {
      totals[category, default: 0] += count
      disagreement += count * (size - count) / (size - 1)
    }
  }
  let n = totals.values.reduce(0, +)
  let expected = n * n - totals.values.reduce(0) { $0 + $1 * $1 }
  return expected > 0 ? 1 - (n - 1) * disagreement / expected : nil
}
