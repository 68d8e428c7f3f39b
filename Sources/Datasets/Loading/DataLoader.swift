/// Hands out the batches of a training run, epoch by epoch, and can be stopped and continued at any batch.
///
/// The order depends on samples, plan and weights alone. For several processes, each takes the batches whose number modulo the number of
/// processes is its rank: see ``batch(_:ofEpoch:)``.
public struct DataLoader: Sendable, Sequence, IteratorProtocol {
  /// A place in a run, which can be saved and restored.
  public struct Position: Sendable, Hashable, Codable {
    /// The epoch, from 0.
    public var epoch: Int
    /// The batch of this epoch that comes next, from 0.
    public var batch: Int
    /// Stands for samples, plan and weights; a loader refuses the position of another one.
    public var fingerprint: UInt64
  }

  /// The samples; ``Batch/samples`` indexes them.
  public let samples: [EncodedSample]
  /// How they are put together.
  public let plan: BatchPlan
  /// How many epochs there are; nil for as many as are asked for, up to a million.
  public let epochs: Int?
  /// The place of the batch that comes next.
  public private(set) var position: Position

  /// How many epochs a run may have.
  private static let epochLimit = 1_000_000

  private let planner: EpochPlanner
  /// Samples that belong together, which a batch takes whole.
  private let groups: [Range<Int>]
  /// The batches of the epoch at hand, as indices of groups.
  private var current: [[Int]]

  /// A loader at the first batch.
  ///
  /// - Throws: ``DatasetError`` where there is nothing to load or the plan cannot hold the samples.
  public init(_ dataset: EncodedDataset, plan: BatchPlan, epochs: Int? = nil) throws {
    try DataLoader.check(dataset, plan: plan, epochs: epochs)
    samples = dataset.samples
    self.plan = plan
    self.epochs = epochs
    groups = samples.groups
    planner = EpochPlanner(
      plan: plan, lengths: groups.map { [samples] group in samples[group].reduce(0) { $0 + $1.ids.count } },
      mixture: Mixture(sourceOfSample: groups.map { [samples] in samples[$0.lowerBound].source }, weights: dataset.weights))
    position = Position(epoch: 0, batch: 0, fingerprint: Fingerprint.of(dataset, plan: plan))
    current = planner.batches(inEpoch: 0)
  }

  /// A loader of samples of one weight.
  ///
  /// - Parameters:
  ///   - samples: what is loaded.
  ///   - batchSize: samples a batch, or packed rows.
  ///   - packedLength: how long a packed row may be; nil to leave samples unpacked.
  ///   - order: shuffled anew each epoch, or as they come.
  ///   - seed: of the shuffling.
  ///   - epochs: passes over the samples; nil for no end.
  /// - Throws: ``DatasetError`` where there is nothing to load or the plan cannot hold the samples.
  public init(
    samples: [EncodedSample], batchSize: Int, packedLength: Int? = nil, order: BatchPlan.Order = .shuffled, seed: UInt64 = 42,
    epochs: Int? = nil
  ) throws {
    let weights = [Double](repeating: 1, count: (samples.map(\.source).max() ?? 0) + 1)
    let plan = BatchPlan(batchSize: batchSize, packedLength: packedLength, order: order, seed: seed)
    try self.init(EncodedDataset(samples: samples, weights: weights), plan: plan, epochs: epochs)
  }

  /// The next batch; nil after the last epoch.
  public mutating func next() -> Batch? {
    // More than once only where a weight far below 1 leaves an epoch without a sample.
    while position.batch >= current.count {
      guard position.epoch + 1 < epochs ?? Self.epochLimit else { return nil }
      position.epoch += 1
      position.batch = 0
      current = planner.batches(inEpoch: position.epoch)
    }
    defer { position.batch += 1 }
    return batch(of: current[position.batch])
  }

  /// Goes to a place that ``position`` gave, also in another process.
  ///
  /// - Throws: ``DatasetError`` where the position was taken with other samples, weights or another plan.
  public mutating func restore(_ saved: Position) throws {
    let isKnown = saved.fingerprint == position.fingerprint && (0..<(epochs ?? Self.epochLimit)).contains(saved.epoch)
    let batches = isKnown ? planner.batches(inEpoch: saved.epoch) : []
    guard isKnown, (0...batches.count).contains(saved.batch) else {
      throw DatasetError(
        "the saved position (epoch \(saved.epoch), batch \(saved.batch)) belongs to other data or to another batch plan",
        cure: "Continue with the data files, max_length, packing, batch_size, weights and seed of the run that was stopped")
    }
    current = batches
    position = saved
  }

  /// A batch by its number in an epoch; nil where the epoch has fewer.
  public func batch(_ index: Int, ofEpoch epoch: Int) -> Batch? {
    let batches = epoch == position.epoch ? current : planner.batches(inEpoch: epoch)
    return batches.indices.contains(index) ? batch(of: batches[index]) : nil
  }

  /// How many batches the epoch at hand has.
  public var batchesInEpoch: Int { current.count }

  /// How many batches there are in all epochs; nil without an end.
  public var batchCount: Int? {
    guard let epochs else { return nil }
    if planner.mixture.isEven { return epochs * planner.batches(inEpoch: 0).count }
    return (0..<epochs).reduce(0) { $0 + planner.batches(inEpoch: $1).count }
  }

  /// How many optimizer steps all epochs make where each gathers `count` batches, fewer at the end of an epoch; nil without an end.
  public func stepCount(accumulating count: Int) -> Int? {
    guard let epochs else { return nil }
    func steps(_ epoch: Int) -> Int { (planner.batches(inEpoch: epoch).count + count - 1) / count }
    return planner.mixture.isEven ? epochs * steps(0) : (0..<epochs).reduce(0) { $0 + steps($1) }
  }

  /// The batch with the most tokens of the epoch at hand: what memory has to be enough for.
  public var largestBatch: Batch? {
    let sizes = current.map { batch in batch.reduce(0) { $0 + planner.lengths[$1] } }
    return zip(sizes, current).max { $0.0 < $1.0 }.map { batch(of: $0.1) }
  }

  private func batch(of chosen: [Int]) -> Batch { Batch(chosen.flatMap { Array(groups[$0]) }, of: samples) }

  private static func check(_ dataset: EncodedDataset, plan: BatchPlan, epochs: Int?) throws(DatasetError) {
    let samples = dataset.samples
    guard let longest = samples.groups.map({ $0.reduce(0) { $0 + samples[$1].ids.count } }).max() else {
      throw DatasetError("there are no samples to load", cure: "Give at least one")
    }
    guard (1...1 << 20).contains(plan.batchSize), (1...epochLimit).contains(epochs ?? 1) else {
      let problem = "batch_size is \(plan.batchSize), epochs \(epochs ?? 1)"
      throw DatasetError(problem, cure: "Both are at least 1; a batch has at most \(1 << 20) rows, a run \(epochLimit) epochs")
    }
    if let capacity = plan.packedLength, capacity < longest {
      throw DatasetError(
        "packed rows hold \(capacity) tokens, but a sample has \(longest)", cure: "Truncate to \(capacity) or pack longer")
    }
    guard dataset.samples.allSatisfy({ dataset.weights.indices.contains($0.source) && !$0.ids.isEmpty }) else {
      throw DatasetError("a sample is empty or of a source without a weight", cure: "Give each source a weight")
    }
  }
}
