import Checkpoints
import Foundation
import NN
import TestSupport
import Testing
import Text
import Torch
import Training
import Tuners

@testable import Recipes

/// Runs that grow the vocabulary: what they leave, and what reads it.
@Suite struct NewTokensTests {
  let folder: TemporaryFolder
  private let exact = ModelOptions(dtype: .float32)

  init() throws { folder = try TemporaryFolder() }

  private func recipe(_ model: String, _ method: String, tokens: String = "add_tokens: [wombat, quokka]") throws -> Recipe {
    let base = try TinyModels.folder(model, in: folder)
    let row = #"{"prompt": "the wombat", "completion": "quokka wombat c d"}"# + "\n"
    let data = try folder.write(String(repeating: row, count: 4), to: "data.jsonl")
    return try Recipe(
      """
      model: \(base.path)
      method: \(method)
      \(tokens)
      data: {train: \(data)}
      train: {max_steps: 4, batch_size: 2, learning_rate: 1e-2, dtype: f32, device: cpu, log_every: 1}
      output: \(folder.path("run"))
      """)
  }

  private func logits(_ model: any CausalLM, _ tokens: [Int32]) throws -> Tensor {
    try withoutGradients { () throws in try model.logits(try ModelInput(rows: [tokens])) }
  }

  @Test(
    arguments: ["llama-tied", "llama-bias", "gpt2"], ["trainable_tokens", "{type: lora, r: 4, target_modules: all-linear}"])
  func adaptersBringTheirTokens(_ model: String, _ method: String) throws {
    let recipe = try recipe(model, method)
    let before = try LoadedModel(recipe.model, options: exact)
    let count = before.text.tokenizer.vocabularySize
    let result = try TuneRun(recipe).run()
    let losses = result.training.rows.compactMap(\.loss)
    #expect(try #require(losses.last) < #require(losses.first))

    let loaded = try LoadedModel(recipe.model, options: exact)
    try loaded.load(adapters: [result.folder.path])
    #expect(loaded.text.tokenizer.vocabularySize == count + 2)
    let tokens = loaded.text.tokenizer.encode("the wombat quokka", addSpecialTokens: false)
    #expect(tokens.contains(Int32(count)) && tokens.contains(Int32(count + 1)))
    #expect(try logits(loaded.model, tokens).isEqual(to: try logits(result.model.model, tokens)))

    // Merged, the model has the tokens by itself.
    let merged = folder.url.appending(path: "merged")
    _ = try MergedModel(source: URL(filePath: recipe.model), adapters: [result.folder.path], dtype: .float32).write(to: merged)
    let whole = try LoadedModel(merged.path, options: exact)
    #expect(whole.text.tokenizer.encode("the wombat quokka", addSpecialTokens: false) == tokens)
    #expect(whole.weights.files.config["vocab_size"]?.int == whole.model.shape.vocabularySize)
    #expect(
      try mismatch(try logits(whole.model, tokens), try logits(loaded.model, tokens), absolute: 1e-5) == nil)
  }

  @Test func onlyTheNewRowsMove() throws {
    let result = try TuneRun(try recipe("llama-bias", "trainable_tokens")).run()
    let adapter = try #require(result.model.adapters.adapters.first)
    #expect(adapter.parameters.map(\.value.shape[0]) == [2, 2], "rows of the table and of the head")
    #expect(result.plan.trainableParameters == 2 * 2 * result.model.model.shape.hiddenSize)
  }

  @Test func rowsStartAsTheMeanOfTheirPieces() throws {
    let base = try TinyModels.folder("llama-tied", in: folder)
    let files = try TokenizerFiles(base)
    let grown = try GrownVocabulary(adding: [NewToken("wombat")], to: files)
    let weights = try ModelWeights(base, options: exact)
    let table = weights.model.embedding.weight
    let pieces = try TextSide(files).tokenizer.encode("wombat", addSpecialTokens: false)
    try weights.grow(grown)
    let row = try weights.model.embedding.weight.indexed(0, Tensor([Int64(grown.tokens[0])])).array(Float.self)
    let old = try table.indexed(0, Tensor(pieces.map(Int64.init))).mean(0).array(Float.self)
    #expect(zip(row, old).allSatisfy { abs($0 - $1) < 1e-6 })
    #expect(weights.model.shape.vocabularySize == max(table.shape[0], grown.tokens[0] + 1))
  }

  @Test func aRunOfEveryParameterLeavesAGrownModel() throws {
    let result = try TuneRun(try recipe("llama-tied", "full")).run()
    let written = try LoadedModel(result.folder.path, options: exact)
    let tokens = written.text.tokenizer.encode("wombat quokka", addSpecialTokens: false)
    #expect(tokens == result.model.text.tokenizer.encode("wombat quokka", addSpecialTokens: false))
    #expect(try logits(written.model, tokens).isEqual(to: try logits(result.model.model, tokens)))
  }

  @Test(arguments: [
    ("lora", "add_tokens: [a]", "is a token already"), ("lora", "add_tokens: [zz9, zz9]", "named twice"),
    ("lora", "add_tokens: ['']", "must not be empty"),
    ("ia3", "add_special_tokens: [<x>]", "cannot train the rows of new tokens"),
    ("{type: full, trainable: [norms]}", "add_tokens: [zz9]", "the token table is frozen"),
  ])
  func whatCannotBeIsRefused(_ method: String, _ tokens: String, _ expected: String) throws {
    #expect { try TuneRun(try recipe("llama-tied", method, tokens: tokens)).run() } throws: { "\($0)".contains(expected) }
  }

  @Test func theRecipeReadsBack() throws {
    let recipe = try recipe("llama-tied", "lora", tokens: "add_tokens: zz9\nadd_special_tokens: [\"<|a\\\"b|>\"]")
    #expect(recipe.newTokens == [NewToken("zz9"), NewToken("<|a\"b|>", isSpecial: true)])
    #expect(try Recipe(recipe.yaml).newTokens == recipe.newTokens)
  }
}
