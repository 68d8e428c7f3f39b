/// The order in which the samples of a round are learnt from: batch by batch, several times.
struct RoundPlan: Codable, Hashable {
  /// Samples, which are laid out so that none of a batch is separated from what belongs to it.
  let samples: Int
  /// Samples of a batch.
  let batchSize: Int
  /// Times that all are gone through.
  let iterations: Int
  /// Batches taken so far.
  var taken = 0

  static func slices(_ count: Int, _ size: Int) -> [Range<Int>] {
    stride(from: 0, to: count, by: max(1, size)).map { $0..<min($0 + max(1, size), count) }
  }

  /// Whether nothing is left.
  var isSpent: Bool { taken >= Self.slices(samples, batchSize).count * iterations }

  /// The samples of the next batches, at most `count` of them, all of one iteration.
  mutating func next(_ count: Int) -> [Range<Int>] {
    let slices = Self.slices(samples, batchSize)
    guard !isSpent else { return [] }
    let first = taken % slices.count
    let chosen = slices[first..<min(first + count, slices.count)]
    taken += chosen.count
    return Array(chosen)
  }
}
