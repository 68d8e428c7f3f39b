import Foundation
import Generation
import NN
import TestSupport
import Testing
import Text
import Torch

@testable import Recipes

/// The real SmolLM2-135M-Instruct, from the file `Scripts/fetch-model` puts into `models`, against transformers.
@Suite(
  .enabled(if: SmolLM2.isThere, "models/smollm2-135m-instruct.gguf is not there; Scripts/fetch-model fetches it"), .serialized)
struct SmolLM2Tests {
  private let reference: JSON
  private let model: LoadedModel

  init() throws {
    reference = try Goldens.json("models/smollm2-reference.json")
    model = try LoadedModel(SmolLM2.path, options: ModelOptions(dtype: .float32, device: .cpu))
  }

  private func ids(_ value: JSON?) -> [Int32] { (value?.array ?? []).compactMap(\.int).map(Int32.init) }

  @Test func meanLossAndEachTokenAreTheReferences() throws {
    let score = reference["score"]
    let text = try #require(score?["text"]?.string)
    let tokens = model.text.tokenizer.encode(text, addSpecialTokens: false)
    #expect(tokens == ids(score?["tokens"]))
    let own = try Scorer(model.model).logProbs([tokens])[0]
    let theirs = (score?["logprobs"]?.array ?? []).map(\.double)
    #expect(own.count == theirs.count && own[0] == nil)
    for (a, b) in zip(own, theirs).dropFirst() { #expect(abs(Double(a ?? .nan) - (b ?? 0)) < 1e-3) }
    let mean = own.compactMap { $0 }.reduce(0) { $0 - Double($1) } / Double(tokens.count - 1)
    #expect(abs(mean - 2.219) < 0.002)
  }

  @Test func greedyContinuationsAreTheReferences() throws {
    let greedy = reference["greedy"]
    let prompt = try #require(greedy?["prompt"]?.string)
    let expected = ids(greedy?["new_tokens"])
    var settings = SamplingSettings()
    settings.temperature = 0
    settings.maxNewTokens = expected.count
    let tokens = model.text.tokenizer.encode(prompt, addSpecialTokens: true)
    let output = try Generator(model.model, tokenizer: model.text.tokenizer).generate([tokens], settings: settings)
    #expect(output.sequences[0].ids == expected)
    #expect(output.sequences[0].text.hasPrefix(" Paris.\n\nThe answer is: 2"))
  }

  @Test func tokenIdsAreTheReferences() throws {
    let cases = try Goldens.json("tokenizers/smollm2-ids.json")
    let rows = try #require((cases["cases"] ?? cases).array)
    #expect(rows.count > 30)
    for row in rows {
      let text = try #require(row["text"]?.string)
      #expect(model.text.tokenizer.encode(text, addSpecialTokens: false) == ids(row["ids"]), "\(text.prefix(60))")
    }
  }
}

enum SmolLM2 {
  static let path = Goldens.folder.deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "models/smollm2-135m-instruct.gguf").path
  static var isThere: Bool { FileManager.default.fileExists(atPath: path) }
}
