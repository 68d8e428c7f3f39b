import Generation
import TestSupport
import Testing
import Text
import Torch

/// Sequences do not depend on the batch they are in.
@Suite struct BatchTests {
  private let prompts: [[Int32]] = [[11, 89, 8, 5, 69, 27, 80], [60, 28], [60, 28], [27, 13, 21, 13, 9]]

  private func settings(_ change: (inout SamplingSettings) -> Void = { _ in }) -> SamplingSettings {
    var settings = greedySettings(20)
    settings.temperature = 0.9
    settings.seed = 42
    change(&settings)
    return settings
  }

  @Test(arguments: ["llama-tied", "gpt2", "mistral"]) func sampledAloneEqualsSampledTogether(_ name: String) throws {
    var generator = Generator(try TinyModels.load(name), tokenizer: SyllableTokenizer())
    for change: (inout SamplingSettings) -> Void in [
      { _ in }, { $0.topK = 10 }, { $0.topP = 0.8 },
      { ($0.minP, $0.repetitionPenalty, $0.temperature) = (0.05, 1.2, 1.4) },
    ] {
      let settings = settings(change)
      let together = try generator.ids(prompts, settings)
      #expect(together[1] != together[2], "equal prompts draw from streams of their own")
      #expect(try generator.ids(prompts, settings) == together)
      for (index, prompt) in prompts.enumerated() {
        #expect(try generator.ids([prompt], settings, streams: [UInt64(index)]) == [together[index]])
      }
      generator.batchSize = 3
      #expect(try generator.ids(prompts, settings) == together)
      generator.batchSize = 8
    }
  }

  @Test func theSeedDecides() throws {
    let generator = Generator(try TinyModels.load("llama-tied"), tokenizer: SyllableTokenizer())
    let first = try generator.ids(prompts, settings())
    #expect(try generator.ids(prompts, settings { $0.seed = 43 }) != first)
    let free = try generator.generate(prompts, settings: settings { $0.seed = nil })
    #expect(try generator.ids(prompts, settings { $0.seed = free.seed }) == free.sequences.map(\.ids))
  }

  @Test func endingRowsLeaveTheOthersAlone() throws {
    let generator = Generator(try TinyModels.load("llama-tied"), tokenizer: SyllableTokenizer())
    let settings = settings { $0.endTokens = Set(3..<20) }
    let together = try generator.generate(prompts, settings: settings).sequences
    #expect(Set(together.map(\.ids.count)).count > 1, "rows end at different steps")
    #expect(together.contains { $0.finishReason == .stopToken })
    for (index, prompt) in prompts.enumerated() {
      #expect(try generator.generate([prompt], settings: settings, streams: [UInt64(index)]).sequences == [together[index]])
    }
  }

  /// In a process of its own, where no other test makes tensors at the same time.
  @Test func nothingIsLeftBehind() async {
    await #expect(processExitsWith: .success) {
      let generator = Generator(try TinyModels.load("llama-tied"), tokenizer: SyllableTokenizer())
      var settings = greedySettings(8)
      (settings.temperature, settings.topP, settings.repetitionPenalty) = (0.8, 0.9, 1.1)
      let prompts: [[Int32]] = [[11, 89, 8], [60], [60, 4, 3, 9]]
      let before = Tensor.liveCount
      for round in 0..<20 {
        settings.seed = UInt64(round)
        _ = try generator.generate(prompts, settings: settings, wantsLogProbs: true)
        _ = try Scorer(generator.model).logProbs(prompts)
      }
      #expect(Tensor.liveCount == before)
    }
  }
}
