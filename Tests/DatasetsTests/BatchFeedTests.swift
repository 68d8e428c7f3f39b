import Testing

@testable import Datasets

@Suite struct BatchFeedTests {
  private func loader(epochs: Int? = 3, order: BatchPlan.Order = .shuffled) throws -> DataLoader {
    var random = SplitMix64(seed: 17)
    let samples = (0..<37).map { index in
      let length = 2 + random.below(30)
      return EncodedSample(
        ids: (0..<length).map { Int32($0 + index) }, trained: Array(repeating: true, count: length),
        location: SourceLocation(file: "s.jsonl", line: index + 1), index: index)
    }
    return try DataLoader(samples: samples, batchSize: 4, order: order, epochs: epochs)
  }

  /// Batch by batch, and place by place, what the loader itself gives.
  @Test(arguments: BatchPlan.Order.allCases) func batchesAndPlacesAreTheLoaders(_ order: BatchPlan.Order) throws {
    var plain = try loader(order: order)
    let feed = BatchFeed(plain)
    #expect(feed.position == plain.position)
    while let expected = plain.next() {
      #expect(feed.next() == expected)
      #expect(feed.position == plain.position && feed.batchesInEpoch == plain.batchesInEpoch)
    }
    for _ in 0..<3 { #expect(feed.next() == nil && feed.position == plain.position) }
  }

  /// What is saved is the place of the batch handed out, not of the one in preparation.
  @Test func aFeedThatIsLeftGoesOnWithTheBatchItHasNotHandedOut() throws {
    let whole = Array(try loader())
    for stop in 0...whole.count {
      let first = BatchFeed(try loader())
      let before = (0..<stop).compactMap { _ in first.next() }
      let second = BatchFeed(try loader())
      _ = second.next()
      try second.restore(first.position)
      var after: [Batch] = []
      while let batch = second.next() { after.append(batch) }
      #expect(before + after == whole)
    }
  }

  @Test func aFalsePlaceLeavesTheFeedWhereItWas() throws {
    let feed = BatchFeed(try loader())
    var plain = try loader()
    _ = (feed.next(), plain.next())
    var foreign = feed.position
    foreign.fingerprint ^= 1
    #expect(throws: DatasetError.self) { try feed.restore(foreign) }
    #expect(feed.next() == plain.next())
  }

  /// Feeds that come and go while a batch is in preparation leave nothing behind.
  @Test func aFeedMayBeDroppedAtAnyTime() throws {
    let loader = try loader(epochs: nil)
    for _ in 0..<500 { _ = BatchFeed(loader).next() }
  }
}
