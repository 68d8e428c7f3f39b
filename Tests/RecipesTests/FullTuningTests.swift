import Checkpoints
import Foundation
import NN
import TestSupport
import Testing
import Text
import Torch
import Training

@testable import Recipes

/// Runs that tune the model's own weights leave a model.
@Suite struct FullTuningTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func run(
    _ model: String, _ method: String, train: String = "max_steps: 3, batch_size: 2, learning_rate: 1e-2, dtype: f32"
  ) throws -> (result: TuneResult, base: URL) {
    let base = try TinyModels.folder(model, in: folder)
    let row = #"{"prompt": "a b", "completion": "c d"}"# + "\n"
    let data = try folder.write(String(repeating: row, count: 4), to: "data.jsonl")
    let recipe = try Recipe(
      """
      model: \(base.path)
      method: \(method)
      data: {train: \(data)}
      train: {\(train), device: cpu}
      output: \(folder.path("run"))
      """)
    return (try TuneRun(recipe).run(), base)
  }

  private func logits(_ model: any CausalLM) throws -> Tensor {
    try withoutGradients { () throws in try model.logits(try ModelInput(rows: [[3, 5, 7, 9, 11]])) }
  }

  @Test func theModelWrittenIsTheOneTrained() throws {
    let (result, base) = try run("llama-tied", "full")
    #expect(result.folder.lastPathComponent == "model")
    #expect(result.plan.trainableParameters == result.plan.totalParameters)
    var options = ModelOptions()
    options.dtype = .float32
    let (written, before) = (try ModelWeights(result.folder, options: options), try ModelWeights(base, options: options))
    #expect(try logits(written.model).isEqual(to: try logits(result.model.model)))
    #expect(try mismatch(try logits(written.model), try logits(before.model), absolute: 1e-2) != nil)
    #expect(written.files.config["tie_word_embeddings"] == true && !written.files.weights.names.contains("lm_head.weight"))
    #expect(try TextSide(result.folder).tokenizer.vocabularySize > 0)
  }

  /// The least memory: weights in bfloat16 alone, moved inside the backward pass, with next to nothing remembered.
  @Test func weightsKeptInBfloat16() throws {
    let train = "max_steps: 3, batch_size: 2, learning_rate: 1e-2, dtype: bf16, max_grad_norm: 0"
    let (result, base) = try run(
      "llama-tied", "{type: full, weights_dtype: bf16}", train: train + ", optimizer: {type: adafactor, in_backward: true}")
    for (path, _, value) in result.model.model.parameters() { #expect(value.dtype == .bfloat16, "\(path)") }
    var options = ModelOptions()
    options.dtype = .float32
    let (written, before) = (try ModelWeights(result.folder, options: options), try ModelWeights(base, options: options))
    for ((path, _, after), old) in zip(written.model.parameters(), before.model.parameters()) {
      #expect(try !after.isEqual(to: old.value), "\(path)")
    }
    #expect { try run("llama-bias", "{type: full, weights_dtype: bf16}") } throws: { "\($0)".contains("set train.dtype to bf16") }
  }

  @Test(arguments: [
    ("bitfit", [".bias"]), ("{type: full, trainable: [last-1-layers]}", ["layers.1."]),
    ("{type: full, trainable: [norms, 'lm_head\\.weight']}", ["norm", "lm_head"]),
  ])
  func nothingElseMoves(_ method: String, _ tuned: [String]) throws {
    let (result, base) = try run("llama-bias", method)
    var options = ModelOptions()
    options.dtype = .float32
    let (written, before) = (try ModelWeights(result.folder, options: options), try ModelWeights(base, options: options))
    for ((path, _, after), old) in zip(written.model.parameters(), before.model.parameters()) {
      #expect(try after.isEqual(to: old.value) != tuned.contains(where: path.contains), "\(path)")
    }
  }

  @Test(arguments: [
    ("[lm_hed]", "“lm_hed” matches no parameter"), ("last-9-layers", "last-1-layers to last-2-layers"),
    ("biases", "“biases” matches"),
    ("'('", "regular expression"),
  ])
  func whatFitsNothingIsRefused(_ entry: String, _ expected: String) throws {
    #expect { try run("llama-tied", "{type: full, trainable: \(entry)}") } throws: { "\($0)".contains(expected) }
  }
}
