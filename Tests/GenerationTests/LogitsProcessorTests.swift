import Generation
import TestSupport
import Testing
import Text
import Torch

/// Processors against the classes of transformers.
@Suite struct LogitsProcessorTests {
  private struct Case {
    let settings: SamplingSettings
    let kept: [Int]
    let scores: [Double]
    let probabilities: [Double]
  }

  private func cases() throws -> (logits: [Float], history: [Int64], cases: [Case]) {
    let golden = try Goldens.json("generation/processors.json")
    let cases = try #require(golden["cases"]?.array).map { json in
      var settings = SamplingSettings()
      settings.temperature = json["settings"]?["temperature"]?.double ?? 1
      settings.topK = json["settings"]?["top_k"]?.int ?? 0
      settings.topP = json["settings"]?["top_p"]?.double ?? 1
      settings.minP = json["settings"]?["min_p"]?.double ?? 0
      settings.repetitionPenalty = json["settings"]?["repetition_penalty"]?.double ?? 1
      return Case(
        settings: settings, kept: try #require(json["kept"]?.array).compactMap(\.int),
        scores: try #require(json["scores_of_kept"]?.array).compactMap(\.double),
        probabilities: try #require(json["probabilities"]?.array).compactMap(\.double))
    }
    return (
      try #require(golden["logits"]?.array).compactMap { $0.double.map(Float.init) },
      try #require(golden["previous_tokens"]?.array).compactMap { $0.int.map(Int64.init) }, cases
    )
  }

  @Test func equalTheReference() throws {
    let (logits, history, cases) = try cases()
    #expect(cases.count == 8)
    for item in cases {
      // A second row that differs shows that rows do not mix.
      var scores = try Tensor(logits + logits.reversed(), shape: [2, logits.count])
      let seen = try Tensor(history + history, shape: [2, history.count])
      for processor in item.settings.processors { scores = try processor(scores, history: seen) }
      let row: [Double] = try scores.selected(0, 0).array()
      #expect(row.indices.filter { row[$0].isFinite } == item.kept, "\(item.settings.processors)")
      for (place, score) in zip(item.kept, item.scores) { #expect(abs(row[place] - score) < 1e-5) }
      #expect(try mismatch(try scores.softmax().selected(0, 0), try Tensor(item.probabilities), absolute: 1e-5) == nil)
    }
  }

  @Test func topPOfAFlatVocabularySortsItAll() throws {
    let logits = try Tensor.zeros([1, 3000])
    let scores: [Float] = try LogitsProcessor.topP(0.9)(logits).array()
    #expect(scores.allSatisfy { $0.isFinite }, "equal scores are kept together")
    let ramp = try Tensor((0..<3000).map { Float($0) * 1e-4 }, shape: [1, 3000])
    let kept = try LogitsProcessor.topP(0.9)(ramp).array(Float.self).filter(\.isFinite).count
    // Σ of the k last of e^(i·1e-4) reaches 0.9 of the whole at this k, computed in float64.
    #expect(abs(kept - 2657) <= 1)
  }

  @Test func topKKeepsTiesAsTheReference() throws {
    let scores: [Float] = try LogitsProcessor.topK(2)(try Tensor([1, 3, 2, 2] as [Float], shape: [1, 4])).array()
    #expect(scores == [-.infinity, 3, 2, 2])
    #expect(try LogitsProcessor.topK(99)(try Tensor([1, 3] as [Float], shape: [1, 2])).array(Float.self) == [1, 3])
  }

  @Test func greedyHasThePenaltyOnly() {
    var settings = SamplingSettings()
    settings.topK = 3
    settings.repetitionPenalty = 1.1
    #expect(settings.processors == [.repetitionPenalty(1.1)])
  }
}
