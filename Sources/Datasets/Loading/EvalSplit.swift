extension Dataset {
  /// Two data sets: what is trained on and what is measured on.
  ///
  /// Equal samples go to the same side, so none that is measured on was trained on. The order of the samples stays. Every source keeps its
  /// weight for training.
  ///
  /// - Parameters:
  ///   - share: the share of the samples to measure on, above 0 and below 1; at least one sample, and at least one is left to train on.
  ///   - seed: what the choice starts from.
  /// - Throws: ``DatasetError`` where the share is no share or there are not two different samples.
  public func split(evalShare share: Double, seed: UInt64 = 42) throws -> (train: Dataset, eval: Dataset) {
    guard share > 0, share < 1 else {
      throw DatasetError("eval_split is \(share)", cure: "Write a share between 0 and 1, such as 0.05")
    }
    let groups = Dictionary(grouping: samples.indices, by: { Fingerprint.of(samples[$0].transcript) })
    let ordered = groups.values.sorted { $0[0] < $1[0] }
    guard ordered.count > 1 else {
      throw DatasetError("a split needs two different samples", cure: "Give more samples, or leave eval_split out")
    }
    let wanted = min(max(1, Int((Double(samples.count) * share).rounded())), samples.count - 1)
    var generator = SplitMix64(seed: seed)
    var chosen: Set<Int> = []
    for group in generator.shuffled(ordered) where chosen.count + group.count <= wanted { chosen.formUnion(group) }
    if chosen.isEmpty, let smallest = ordered.min(by: { $0.count < $1.count }) { chosen.formUnion(smallest) }
    var train = self
    var eval = self
    train.samples = samples.indices.filter { !chosen.contains($0) }.map { samples[$0] }
    eval.samples = samples.indices.filter { chosen.contains($0) }.map { samples[$0] }
    return (train, eval)
  }
}
