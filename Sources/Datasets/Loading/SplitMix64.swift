/// SplitMix64: a small generator with the same numbers on every platform.
///
/// Steele, Lea, Flood: “Fast splittable pseudorandom number generators”, OOPSLA 2014, with Vigna's constants.
public struct SplitMix64: RandomNumberGenerator, Sendable, Hashable, Codable {
  private var state: UInt64

  /// A generator that starts at `seed`.
  public init(seed: UInt64) {
    state = seed
  }

  /// A generator of its own for each list of numbers: seed, purpose, epoch and so on.
  init(_ parts: UInt64...) {
    state = 0
    for part in parts {
      state ^= part
      state = next()
    }
  }

  /// The next 64 bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A number from 0 to one less than `bound`, each equally likely (Lemire 2019, with rejection).
  ///
  /// - Precondition: `bound` is above 0.
  mutating func below(_ bound: Int) -> Int {
    let bound = UInt64(bound)
    let threshold = (0 &- bound) % bound
    while true {
      let (high, low) = bound.multipliedFullWidth(by: next())
      if low >= threshold { return Int(high) }
    }
  }

  /// The elements in random order (Fisher and Yates). Swift's own `shuffled` may change from one release to the next; this does not.
  mutating func shuffled<Element>(_ elements: [Element]) -> [Element] {
    var elements = elements
    for last in stride(from: elements.count - 1, to: 0, by: -1) { elements.swapAt(last, below(last + 1)) }
    return elements
  }
}
