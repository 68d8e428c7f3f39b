/// Stands for contents in 64 bits, the same on every platform (FNV-1a).
enum Fingerprint {
  private static let start: UInt64 = 0xCBF2_9CE4_8422_2325
  private static let prime: UInt64 = 0x0000_0100_0000_01B3

  /// A text's.
  static func of(_ text: String) -> UInt64 {
    text.utf8.reduce(start) { ($0 ^ UInt64($1)) &* prime }
  }

  /// What decides a loader's batches: tokens, masks, sources, weights and plan.
  static func of(_ dataset: EncodedDataset, plan: BatchPlan) -> UInt64 {
    var hash = start
    func mix(_ value: UInt64) { hash = (hash ^ value) &* prime }
    for sample in dataset.samples {
      mix(UInt64(sample.ids.count))
      mix(UInt64(sample.source))
      if sample.rank > 0 { mix(UInt64(sample.rank)) }
      for (id, trained) in zip(sample.ids, sample.trained) { mix(UInt64(UInt32(bitPattern: id)) << 1 | (trained ? 1 : 0)) }
    }
    for weight in dataset.weights { mix(weight.bitPattern) }
    mix(UInt64(plan.batchSize))
    mix(UInt64(plan.packedLength ?? 0))
    mix(of(plan.order.rawValue))
    mix(plan.seed)
    return hash
  }

  /// A sample's: its tokens, and which of them are learnt.
  static func of(_ ids: some Sequence<Int32>, trained: some Sequence<Bool>) -> UInt64 {
    zip(ids, trained).reduce(start) { ($0 ^ (UInt64(UInt32(bitPattern: $1.0)) << 1 | ($1.1 ? 1 : 0))) &* prime }
  }
}

extension EncodedSample {
  /// Stands for the tokens and for which of them are learnt, the same on every machine.
  public var fingerprint: UInt64 { Fingerprint.of(ids, trained: trained) }
}

extension Batch {
  /// The `EncodedSample.fingerprint` of each segment, [S].
  public var fingerprints: [UInt64] {
    var start = 0
    return segmentLengths.map { length in
      defer { start += length }
      let range = start..<start + length
      return Fingerprint.of(tokens[range], trained: labels[range].map { $0 != Self.ignoredLabel })
    }
  }
}
