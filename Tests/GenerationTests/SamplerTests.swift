import TestSupport
import Testing
import Text
import Torch

@testable import Generation

/// Draws from a distribution.
@Suite struct SamplerTests {
  /// Computed from the published constants with whole numbers of any size (Python).
  @Test func streamsAreTheSameEverywhere() {
    var zero = SampleStream(seed: 0, stream: 0)
    var other = SampleStream(seed: 7, stream: 2)
    #expect((0..<3).map { _ in zero.uniform() } == [0.13870941014555427, 0.9711020828012883, 0.2778328726049074])
    #expect((0..<3).map { _ in other.uniform() } == [0.5069350657438018, 0.8578376325113802, 0.18554915123334914])
  }

  @Test func frequenciesFollowTheReferencesProbabilities() throws {
    let golden = try Goldens.json("generation/processors.json")
    let logits = try #require(golden["logits"]?.array).compactMap { $0.double.map(Float.init) }
    let probabilities = try #require(golden["cases"]?[1]?["probabilities"]?.array).compactMap(\.double)
    var settings = SamplingSettings()
    settings.temperature = 0.7
    let rows = 20_000
    var sampler = try Sampler(
      settings, seed: 5, streams: (0..<UInt64(rows)).map { $0 }, prompts: Array(repeating: [1], count: rows),
      wantsLogProbs: false, device: .cpu)
    let batch = try Tensor(logits, shape: [1, logits.count]).expanded(rows, -1)
    let (choice, broken) = try sampler.choose(batch)
    #expect(broken == nil)
    var counts = Array(repeating: 0, count: logits.count)
    for id in choice.ids { counts[Int(id)] += 1 }
    for (count, p) in zip(counts, probabilities) {
      // Five standard deviations of a binomial count: one chance in a million for each of 24, and the draws are fixed.
      let spread = (Double(rows) * p * (1 - p)).squareRoot()
      #expect(abs(Double(count) - Double(rows) * p) <= 5 * spread + 1)
    }
  }

  @Test func whatIsRuledOutIsNeverDrawn() throws {
    var settings = SamplingSettings()
    settings.temperature = 1
    settings.topK = 2
    let rows = 500
    var sampler = try Sampler(
      settings, seed: 1, streams: (0..<UInt64(rows)).map { $0 }, prompts: Array(repeating: [0], count: rows),
      wantsLogProbs: true, device: .cpu)
    let (choice, _) = try sampler.choose(try Tensor([0, 1, 2, 2.5, 1.5] as [Float], shape: [1, 5]).expanded(rows, -1))
    #expect(Set(choice.ids) == [2, 3])
    // ln softmax of the whole row, whatever was ruled out.
    let place = try #require(choice.ids.firstIndex(of: 3))
    let logProb = try #require(choice.logProbs?[place])
    #expect(abs(logProb - -0.82401) < 1e-4)
  }

  @Test(arguments: [0.0, 1.0]) func brokenScoresAreFound(_ temperature: Double) throws {
    var settings = SamplingSettings()
    settings.temperature = temperature
    for broken in [Float.nan, .infinity] {
      var sampler = try Sampler(settings, seed: 1, streams: [0, 1], prompts: [[0], [0]], wantsLogProbs: false, device: .cpu)
      let (_, row) = try sampler.choose(try Tensor([0, 1, 2, 0, broken, 2], shape: [2, 3]))
      #expect(row == 1)
    }
  }
}
