import Testing
import Text

@testable import Datasets

@Suite struct PackingTests {
  /// Rows as lists of lengths, against TRL's best fit decreasing.
  @Test func agreesWithTRL() throws {
    let cases = try #require(golden("packing.json").array)
    #expect(cases.count == 6)
    for item in cases {
      let lengths = try #require(item["lengths"]).ints
      let rows = Packing.rows(lengths: lengths, capacity: try #require(item["capacity"]?.int))
      #expect(rows.map { row in row.map { lengths[$0] } } == item["rows"]?.array?.map(\.ints))
    }
  }

  /// Random lengths: every sample in exactly one row, no row too long, and no two rows that would fit into one.
  @Test func everySampleIsInOneRowThatHoldsIt() {
    var random = SplitMix64(seed: 11)
    for _ in 0..<200 {
      let capacity = 1 + random.below(70)
      let lengths = (0..<random.below(120)).map { _ in 1 + random.below(capacity) }
      let rows = Packing.rows(lengths: lengths, capacity: capacity)
      #expect(rows.flatMap { $0 }.sorted() == Array(lengths.indices))
      let sizes = rows.map { row in row.reduce(0) { $0 + lengths[$1] } }.sorted()
      #expect(sizes.allSatisfy { $0 <= capacity })
      #expect(sizes.count < 2 || sizes[0] + sizes[1] > capacity)
      #expect(rows == Packing.rows(lengths: lengths, capacity: capacity))
    }
  }

  @Test func roomBeyondAllSamplesCostsNothing() {
    #expect(Packing.rows(lengths: [1, 3, 2], capacity: .max) == [[1, 2, 0]])
    #expect(Packing.rows(lengths: [], capacity: 8) == [])
  }

  @Test func segmentsKeepTheirOwnPositionsLabelsAndTargets() throws {
    let samples = [
      EncodedSample(ids: [1, 2, 3], trained: [true, false, true], location: nowhere, index: 7),
      EncodedSample(ids: [4, 5], trained: [true, true], location: nowhere, index: 9),
    ]
    let batch = Batch([1, 0], of: samples)
    #expect(batch.tokens == [4, 5, 1, 2, 3])
    #expect(batch.labels == [4, 5, 1, -100, 3])
    #expect(batch.positions == [0, 1, 0, 1, 2])
    #expect(batch.segmentLengths == [2, 3] && batch.samples == [1, 0])
    #expect(batch.trainedTokens == 2 && batch.tokenCount == 5)
    #expect(batch.trainedTokens == samples.reduce(0) { $0 + $1.targetCount })
  }
}
