/// A set of scalars: a union of traits, ranges and smaller sets, cut down by `required` sets, then inverted where asked for.
struct ScalarSet: Sendable, Hashable {
  private let traits: ScalarTraits
  private let ranges: [ClosedRange<UInt32>]
  private let subsets: [ScalarSet]
  private let required: [ScalarSet]
  private let isInverted: Bool
  /// Bit `v` of the pair is set where the ASCII scalar `v` is a member.
  private var low: UInt64 = 0
  private var high: UInt64 = 0

  init(
    traits: ScalarTraits = [], ranges: [ClosedRange<UInt32>] = [], subsets: [ScalarSet] = [], required: [ScalarSet] = [],
    isInverted: Bool = false
  ) {
    self.traits = traits
    self.ranges = ranges
    self.subsets = subsets
    self.required = required
    self.isInverted = isInverted
    let reader = ScalarTraits.Reader()
    for value in UInt32(0)..<64 {
      if evaluate(value, reader) { low |= 1 << UInt64(value) }
      if evaluate(value + 64, reader) { high |= 1 << UInt64(value) }
    }
  }

  /// The set of the given scalars.
  init(_ scalars: [UInt32]) { self.init(ranges: scalars.map { $0...$0 }) }

  /// All scalars that are not in this set.
  var inverted: ScalarSet { ScalarSet(subsets: [self], isInverted: true) }

  /// White space as Unicode defines it.
  static let whitespace = ScalarSet(traits: .whitespace)

  /// The members below 128, one bit each.
  var ascii: (low: UInt64, high: UInt64) { (low, high) }

  @inline(__always)
  func contains(_ value: UInt32, _ reader: ScalarTraits.Reader) -> Bool {
    if value < 64 { return low >> UInt64(value) & 1 == 1 }
    if value < 128 { return high >> UInt64(value - 64) & 1 == 1 }
    return evaluate(value, reader)
  }

  private func evaluate(_ value: UInt32, _ reader: ScalarTraits.Reader) -> Bool {
    let isMember =
      (traits.rawValue != 0 && reader[value].meets(traits)) || ranges.contains { $0.contains(value) }
      || subsets.contains { $0.contains(value, reader) }
    return (isMember && required.allSatisfy { $0.contains(value, reader) }) != isInverted
  }
}
