/// The random numbers of one sequence: SplitMix64, the same on every platform.
///
/// Each sequence draws from a stream of its own, so that a batch does not change what its rows come to. Steele, Lea, Flood:
/// “Fast splittable pseudorandom number generators”, OOPSLA 2014.
struct SampleStream {
  private var state: UInt64

  /// Stream number `stream` of `seed`.
  init(seed: UInt64, stream: UInt64) {
    state = seed
    state = next() ^ stream
    state = next()
  }

  /// The next 64 bits.
  private mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// A number from 0 to below 1, in steps of 2⁻⁵³.
  mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }
}
