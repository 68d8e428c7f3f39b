/// How samples are put together into batches.
public struct BatchPlan: Sendable, Hashable, Codable {
  /// The order of an epoch.
  public enum Order: String, Sendable, Hashable, Codable, CaseIterable {
    /// Random, another one each epoch.
    case shuffled
    /// Random, but batches have similar numbers of tokens: long samples stand beside short ones.
    case balanced
    /// Random, but samples of a batch have similar lengths.
    case grouped
    /// As in the files.
    case sequential
  }

  /// How many samples a batch holds; with packing, how many packed rows.
  public var batchSize: Int
  /// How long a packed row may be; nil to leave samples unpacked.
  public var packedLength: Int?
  /// The order.
  public var order: Order
  /// What random orders start from.
  public var seed: UInt64

  /// A plan.
  public init(batchSize: Int, packedLength: Int? = nil, order: Order = .shuffled, seed: UInt64 = 42) {
    self.batchSize = batchSize
    self.packedLength = packedLength
    self.order = order
    self.seed = seed
  }
}

/// The batches of every epoch, as indices of samples: a pure function of plan, lengths, sources and the epoch's number.
struct EpochPlanner: Sendable {
  /// Batches whose samples are distributed among them by length together, as many as Hugging Face's sampler sorts together.
  private static let batchesPerGroup = 50

  /// What a random number is for, so that no two draws share a generator.
  private enum Purpose { static let source: UInt64 = 1, epoch: UInt64 = 2, rows: UInt64 = 3 }

  let plan: BatchPlan
  let lengths: [Int]
  let mixture: Mixture

  /// The batches of an epoch, each at least one sample.
  func batches(inEpoch epoch: Int) -> [[Int]] {
    let drawn = order(ofEpoch: epoch)
    var generator = SplitMix64(plan.seed, Purpose.rows, UInt64(epoch))
    if let capacity = plan.packedLength {
      let rows = Packing.rows(lengths: drawn.map { lengths[$0] }, capacity: capacity).map { row in row.map { drawn[$0] } }
      let ordered = plan.order == .sequential ? rows : generator.shuffled(rows)
      return ordered.chunks(of: plan.batchSize).map { $0.flatMap { $0 } }
    }
    let groups = drawn.chunks(of: plan.batchSize * Self.batchesPerGroup)
    switch plan.order {
    case .shuffled, .sequential: return drawn.chunks(of: plan.batchSize)
    case .balanced: return groups.flatMap { generator.shuffled(balanced($0)) }
    case .grouped: return generator.shuffled(groups.flatMap(longestFirst).chunks(of: plan.batchSize))
    }
  }

  /// Equal lengths keep their order.
  private func longestFirst(_ samples: [Int]) -> [Int] {
    samples.enumerated().sorted { (-lengths[$0.element], $0.offset) < (-lengths[$1.element], $1.offset) }.map(\.element)
  }

  /// Batches of `batchSize` samples, the last one of what is left over, with similar numbers of tokens.
  ///
  /// The longest sample first, each goes to the batch that has the fewest tokens so far and room (Graham's rule for scheduling, with a
  /// bound on the number of tasks; SIAM J. Appl. Math. 17, 1969). Inside a batch samples keep the order in which they were drawn.
  private func balanced(_ samples: [Int]) -> [[Int]] {
    let capacities = samples.chunks(of: plan.batchSize).map(\.count)
    var batches = [[Int]](repeating: [], count: capacities.count)
    // A short batch begins with the tokens that its missing samples would have on average.
    let mean = samples.reduce(0) { $0 + lengths[$1] } / max(1, samples.count)
    var tokens = capacities.map { (plan.batchSize - $0) * mean }
    let places = samples.indices.sorted { (-lengths[samples[$0]], $0) < (-lengths[samples[$1]], $1) }
    for place in places {
      let open = batches.indices.filter { batches[$0].count < capacities[$0] }
      guard let batch = open.min(by: { (tokens[$0], $0) < (tokens[$1], $1) }) else { continue }
      batches[batch].append(place)
      tokens[batch] += lengths[samples[place]]
    }
    return batches.map { batch in batch.sorted().map { samples[$0] } }
  }

  /// The samples of an epoch in their order.
  private func order(ofEpoch epoch: Int) -> [Int] {
    let isRandom = plan.order != .sequential
    let drawn = mixture.draw(epoch: epoch) { elements, source, pass in
      var generator = SplitMix64(plan.seed, Purpose.source, UInt64(source), UInt64(pass))
      return isRandom ? generator.shuffled(elements) : elements
    }
    var generator = SplitMix64(plan.seed, Purpose.epoch, UInt64(epoch))
    return isRandom ? generator.shuffled(drawn) : drawn
  }
}

extension Array {
  /// Pieces of `size` elements; the last one may be shorter.
  func chunks(of size: Int) -> [[Element]] {
    stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
  }
}
