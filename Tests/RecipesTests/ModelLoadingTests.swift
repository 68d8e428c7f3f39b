import Checkpoints
import Foundation
import Generation
import NN
import TestSupport
import Testing
import Text
import Torch
import Tuners

@testable import Recipes

@Suite(.serialized) struct ModelLoadingTests {
  let folder: TemporaryFolder
  let model: URL
  let cpu = ModelOptions(dtype: .float32, device: .cpu)

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder)
  }

  @Test func aModelComesWithTokenizerTemplateAndStopTokens() throws {
    let loaded = try LoadedModel(model.path, options: cpu)
    #expect(loaded.text.tokenizer.vocabularySize == 96)
    #expect(loaded.stopTokens == [2])
    let golden = try Goldens.json("cli/expected.json")["chat"]
    let turns = golden?["messages"]?.array?.map { Message(role: $0["role"]?.string ?? "", content: $0["content"]?.string) } ?? []
    #expect(try loaded.text.encode(turns).map(Int.init) == golden?["prompt_tokens"]?.array?.compactMap(\.int))
  }

  @Test func adaptersApplyTogether() throws {
    let expected = try Goldens.tensors("adapters/two-adapters/expected.safetensors")
    let weights = try ModelWeights(model, options: cpu)
    let folders = ["first", "second"].map { Goldens.url("adapters/two-adapters/\($0)").path }
    try weights.load(adapters: folders)
    #expect(weights.adapters.active == ["first", "second"])
    let rows = try expected.tensor("input_ids").array(Int64.self)
    let width = try #require(expected.info("input_ids")?.shape.last)
    let input = try ModelInput(rows: [Array(rows[..<width]), Array(rows[width...])].map { $0.map(Int32.init) })
    let logits = try weights.model.inference { try weights.model.logits(input) }
    #expect(try mismatch(logits, expected.tensor("both.logits"), absolute: 1e-4) == nil)
  }

  @Test func aModelWithoutTokenizerHasWeights() throws {
    let bare = try TinyModels.folder("gpt2", in: folder, withTokenizer: false)
    #expect(try ModelWeights(bare, options: cpu).model.shape.vocabularySize == 96)
    #expect(throws: (any Error).self) { try LoadedModel(bare.path, options: cpu) }
  }

  @Test func aTokenizerThatIsTooLargeIsRefused() throws {
    try Data(contentsOf: Goldens.url("tokenizers/smollm2/tokenizer.json")).write(to: model.appending(path: "tokenizer.json"))
    do {
      _ = try LoadedModel(model.path, options: cpu)
      Issue.record("loaded")
    } catch { #expect("\(error)".contains("the tokenizer has 700 tokens and the model 96 rows")) }
  }

  @Test func aGPUThatIsNotThereIsRefused() {
    let options = ModelOptions(device: .cuda(TorchRuntime.cudaDeviceCount))
    #expect(throws: RecipeError.self) { try options.resolvedDevice() }
  }

  @Test func samplingIsTakenFromTheModelWhereItAsksForIt() throws {
    let asked = SamplingSettings(
      generationConfig: ["do_sample": true, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "min_p": 0.1])
    #expect((asked.temperature, asked.topP, asked.topK, asked.minP) == (0.6, 0.9, 20, 0.1))
    let silent = SamplingSettings(generationConfig: ["temperature": 0.6, "repetition_penalty": 1.1])
    #expect((silent.temperature, silent.repetitionPenalty) == (0, 1.1))
    #expect(SamplingSettings(generationConfig: ["do_sample": true]).temperature == 1)
    #expect(SamplingSettings(generationConfig: nil) == SamplingSettings())
  }
}
