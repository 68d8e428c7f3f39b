import Foundation
import Testing
import Text

@testable import Datasets

@Suite struct LoaderTests {
  /// Samples of random lengths whose first token is their number.
  private func samples(_ count: Int, sources: Int = 1, seed: UInt64 = 3) -> [EncodedSample] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { index in
      let length = 2 + random.below(30)
      return EncodedSample(
        ids: [Int32(index)] + Array(repeating: 0, count: length - 1), trained: Array(repeating: true, count: length),
        location: SourceLocation(file: "s.jsonl", line: index + 1), index: index, source: index % sources)
    }
  }

  private static let plans: [BatchPlan] = BatchPlan.Order.allCases.flatMap { order in
    [BatchPlan(batchSize: 4, order: order, seed: 9), BatchPlan(batchSize: 2, packedLength: 40, order: order, seed: 9)]
  }

  /// Numbers of the published generator: the first five from seed 1234567.
  @Test func theGeneratorIsSplitMix64() {
    var generator = SplitMix64(seed: 1_234_567)
    let expected: [UInt64] = [
      6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
      16_408_922_859_458_223_821,
    ]
    #expect((0..<5).map { _ in generator.next() } == expected)
  }

  @Test func boundedNumbersAreEven() {
    var generator = SplitMix64(seed: 1)
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[generator.below(7)] += 1 }
    #expect(counts.allSatisfy { abs($0 - 10_000) < 400 })
    #expect(generator.shuffled(Array(0..<50)).sorted() == Array(0..<50))
  }

  @Test(arguments: plans) func everyEpochHasEverySampleOnce(_ plan: BatchPlan) throws {
    let loader = try DataLoader(EncodedDataset(samples: samples(101)), plan: plan, epochs: 3)
    let batches = Array(loader)
    #expect(batches.count == loader.batchCount)
    let perEpoch = loader.batchesInEpoch
    #expect(batches.count == 3 * perEpoch)
    for epoch in 0..<3 {
      let seen = batches[epoch * perEpoch..<(epoch + 1) * perEpoch].flatMap(\.samples)
      #expect(seen.sorted() == Array(0..<101))
    }
    #expect(batches.allSatisfy { $0.tokenCount == $0.segmentLengths.reduce(0, +) })
    if let row = plan.packedLength { #expect(batches.allSatisfy { $0.tokenCount <= row * plan.batchSize }) }
    let isSame = batches[0..<perEpoch].map(\.samples) == batches[perEpoch..<2 * perEpoch].map(\.samples)
    #expect(isSame == (plan.order == .sequential))
  }

  /// Stopped anywhere, saved as JSON and continued by a new loader, the batches are those of a run that was not stopped.
  @Test(arguments: plans) func continuingEqualsNotHavingStopped(_ plan: BatchPlan) throws {
    let dataset = EncodedDataset(samples: samples(60, sources: 2), weights: [1, 0.6])
    let whole = Array(try DataLoader(dataset, plan: plan, epochs: 4))
    var random = SplitMix64(seed: 21)
    for stop in [0, 1, whole.count - 1, whole.count] + (0..<20).map({ _ in random.below(whole.count) }) {
      var first = try DataLoader(dataset, plan: plan, epochs: 4)
      let before = (0..<stop).compactMap { _ in first.next() }
      let saved = try JSONEncoder().encode(first.position)
      var second = try DataLoader(dataset, plan: plan, epochs: 4)
      try second.restore(JSONDecoder().decode(DataLoader.Position.self, from: saved))
      #expect(before + Array(second) == whole)
    }
  }

  @Test func aPositionOfOtherDataIsRefused() throws {
    let plan = BatchPlan(batchSize: 4)
    var loader = try DataLoader(EncodedDataset(samples: samples(40)), plan: plan)
    let position = loader.position
    var changed = samples(40)
    changed[17].trained[1] = false
    let others: [(EncodedDataset, BatchPlan)] = [
      (EncodedDataset(samples: samples(41)), plan), (EncodedDataset(samples: changed), plan),
      (EncodedDataset(samples: samples(40)), BatchPlan(batchSize: 4, seed: 43)),
      (EncodedDataset(samples: samples(40)), BatchPlan(batchSize: 5)),
      (EncodedDataset(samples: samples(40), weights: [2]), plan),
    ]
    for (dataset, plan) in others {
      var other = try DataLoader(dataset, plan: plan)
      #expect(throws: DatasetError.self) { try other.restore(position) }
    }
    for (epoch, batch) in [(0, 11), (0, -1), (-1, 0), (Int.max, 0)] {
      var bad = position
      (bad.epoch, bad.batch) = (epoch, batch)
      #expect(throws: DatasetError.self) { try loader.restore(bad) }
    }
  }

  @Test func anEpochTakesOfEachSourceItsWeight() throws {
    let dataset = EncodedDataset(samples: samples(90, sources: 3), weights: [1, 2, 0.25])
    let loader = try DataLoader(dataset, plan: BatchPlan(batchSize: 8), epochs: 4)
    var uses = [Int](repeating: 0, count: 90)
    for batch in loader {
      for sample in batch.samples { uses[sample] += 1 }
    }
    for (sample, count) in uses.enumerated() { #expect(count == [4, 8, 1][sample % 3]) }
    #expect(loader.batchCount == Array(loader).count)
  }

  @Test func groupedBatchesHaveSimilarLengths() throws {
    func spread(_ order: BatchPlan.Order) throws -> Int {
      try DataLoader(samples: samples(400), batchSize: 8, order: order, epochs: 1)
        .reduce(0) { $0 + ($1.segmentLengths.max() ?? 0) - ($1.segmentLengths.min() ?? 0) }
    }
    #expect(try spread(.grouped) * 5 < spread(.shuffled))
  }

  @Test func balancedBatchesHaveSimilarNumbersOfTokens() throws {
    func tokens(_ order: BatchPlan.Order) throws -> [Int] {
      try DataLoader(samples: samples(403), batchSize: 8, order: order, epochs: 1).map(\.tokenCount)
    }
    let (balanced, shuffled) = (try tokens(.balanced), try tokens(.shuffled))
    #expect(balanced.count == 51 && shuffled.count == 51)
    // All batches but that of the three samples left over.
    let full = balanced.filter { $0 > balanced.max()! / 2 }
    #expect(full.count == 50 && full.max()! - full.min()! <= 4)
    #expect(shuffled.max()! > full.max()! + 30)
    let sizes = try DataLoader(samples: samples(403), batchSize: 8, order: .balanced, epochs: 2).map(\.samples.count)
    #expect(sizes.filter { $0 == 8 }.count == 100 && sizes.filter { $0 == 3 }.count == 2)
  }

  /// One extreme sample takes short ones to itself and changes no batch size.
  @Test func balancedBatchesBearAnExtremeSample() throws {
    var extreme = samples(64)
    extreme[5].ids += Array(repeating: 0, count: 5000)
    extreme[5].trained += Array(repeating: true, count: 5000)
    let batches = Array(try DataLoader(samples: extreme, batchSize: 8, order: .balanced, epochs: 1))
    #expect(batches.allSatisfy { $0.samples.count == 8 })
    let others = batches.filter { !$0.samples.contains(5) }.map(\.tokenCount)
    #expect(others.max()! - others.min()! <= 4)
  }

  @Test func batchesCanBeReachedByNumber() throws {
    let loader = try DataLoader(samples: samples(30), batchSize: 4, epochs: 2)
    let all = Array(loader)
    #expect((0..<8).compactMap { loader.batch($0, ofEpoch: 1) } == Array(all[8...]))
    #expect(loader.batch(8, ofEpoch: 0) == nil)
    #expect(loader.largestBatch?.tokenCount == all[..<8].map(\.tokenCount).max())
  }

  @Test func plansThatCannotHoldTheSamplesAreRefused() throws {
    #expect(complaint { _ = try DataLoader(samples: [], batchSize: 1) }.contains("no samples"))
    #expect(complaint { _ = try DataLoader(samples: samples(9), batchSize: 0) }.contains("batch_size is 0"))
    #expect(complaint { _ = try DataLoader(samples: samples(9), batchSize: .max) }.contains("at most"))
    #expect(complaint { _ = try DataLoader(samples: samples(9), batchSize: 1, packedLength: 5) }.contains("packed rows hold 5"))
    let unweighted = EncodedDataset(samples: samples(9, sources: 2), weights: [1])
    #expect(complaint { _ = try DataLoader(unweighted, plan: BatchPlan(batchSize: 1)) }.contains("without a weight"))
  }

  @Test func aSplitKeepsEqualSamplesOnOneSide() throws {
    let data = Dataset((0..<200).map { .chat("question \($0 / 3)", "answer", line: $0 + 1) })
    let (train, eval) = try data.split(evalShare: 0.1)
    #expect(train.samples.count + eval.samples.count == 200)
    #expect((18...20).contains(eval.samples.count))
    #expect(Set(train.samples.map(\.transcript)).isDisjoint(with: eval.samples.map(\.transcript)))
    #expect(train.samples.map(\.location.line) == train.samples.map(\.location.line).sorted())
    #expect(try data.split(evalShare: 0.1).eval.samples == eval.samples)
    #expect(try data.split(evalShare: 0.1, seed: 1).eval.samples != eval.samples)
    #expect(throws: DatasetError.self) { try data.split(evalShare: 1) }
    #expect(throws: DatasetError.self) { try Dataset([.chat("a", "b"), .chat("a", "b", line: 2)]).split(evalShare: 0.5) }
    #expect(try Dataset([.chat("a", "b"), .chat("c", "d")]).split(evalShare: 0.01).eval.samples.count == 1)
  }
}
