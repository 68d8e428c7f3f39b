import Checkpoints
import Foundation
import Generation
import NN
import Objectives
import TestSupport
import Testing
import Text
import Torch
import Training
import Tuners

@testable import Recipes

/// Reward models, from recipe to scores.
@Suite struct RewardRunTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static let pairs = (0..<6).map { #"{"prompt": "a b \#($0)", "chosen": " c d", "rejected": " x"}"# }
    .joined(separator: "\n")

  private func recipe(
    _ objective: String = "reward", method: String = "lora", model: String = "llama-tied", rows: String = pairs, more: String = ""
  ) throws -> Recipe {
    let base = folder.url.appending(path: model)
    if !FileManager.default.fileExists(atPath: base.path) { _ = try TinyModels.folder(model, in: folder) }
    let data = try folder.write(rows, to: "data-\(UUID().uuidString).jsonl")
    return try Recipe(
      """
      model: \(base.path)
      method: \(method)
      objective: \(objective)
      data: {train: \(data), eval_split: 0.2}
      train: {max_steps: 8, batch_size: 2, learning_rate: 1e-2, dtype: f32, device: cpu, log_every: 1\(more)}
      output: \(folder.path("run-\(UUID().uuidString)"))
      """)
  }

  private let rows: [[Int32]] = [[3, 4, 5], [9, 8, 7, 6], [11]]

  private func scores(_ weights: ModelWeights) throws -> [Float] { try Scorer(weights.model).rewards(rows).flatMap { $0 } }

  private func load(_ model: String, adapter: URL? = nil) throws -> ModelWeights {
    let weights = try ModelWeights(URL(filePath: model), options: ModelOptions(dtype: .float32, device: .cpu))
    try weights.load(adapters: adapter.map { [$0.path] } ?? [], scores: true)
    return weights
  }

  /// The better answers come to score higher, and what is written scores as the model in memory does.
  @Test(
    arguments: ["lora", "full", "{type: full, trainable: [last-1-layers]}", "prompt_tuning", "ia3", "ln_tuning", "vera"],
    ["llama-tied", "llama", "gpt2"])
  func theBetterAnswersScoreHigher(_ method: String, _ model: String) throws {
    let recipe = try recipe(method: method, model: model)
    let result = try TuneRun(recipe).run()
    let margins = result.training.rows.compactMap { $0.figures?["margin"] }
    #expect(margins.count == 8)
    #expect(try #require(margins.last) > #require(margins.first), "\(margins)")
    #expect(result.training.rows.contains { $0.evalFigures?["accuracy"] != nil })
    let isModel = recipe.method.settings.files == .model
    let loaded = try isModel ? load(result.folder.path) : load(recipe.model, adapter: result.folder)
    #expect(loaded.model.score != nil && loaded.model.predictsTokens != isModel)
    let (expected, found) = (try Scorer(result.model.model).rewards(rows).flatMap { $0 }, try scores(loaded))
    #expect(zip(expected, found).allSatisfy { abs($0 - $1) < 1e-5 }, "\(expected), \(found)")
    #expect(Set(found).count == 3)
  }

  @Test func mergedItIsAFolderOfTransformers() throws {
    let recipe = try recipe(model: "llama")
    let result = try TuneRun(recipe).run()
    let merged = folder.url.appending(path: "merged")
    _ = try MergedModel(source: URL(filePath: recipe.model), adapters: [result.folder.path]).write(
      to: merged, options: ModelOptions(device: .cpu))
    let config = try JSONFile.object(at: merged.appending(path: "config.json"))
    #expect(config["architectures"] == ["LlamaForSequenceClassification"] && config["num_labels"] == 1)
    #expect(config["id2label"] == ["0": "LABEL_0"] && config["pad_token_id"]?.int != nil)
    let names = try SafetensorsFile(merged.appending(path: "model.safetensors")).names
    #expect(names.contains("score.weight") && !names.contains("lm_head.weight"))
    let (expected, found) = (
      try Scorer(result.model.model).rewards(rows).flatMap { $0 }, try scores(try load(merged.path))
    )
    #expect(zip(expected, found).allSatisfy { abs($0 - $1) < 1e-4 }, "\(expected), \(found)")
    // It can be trained further, and it predicts no tokens.
    var further = try self.recipe(model: "llama")
    further.model = merged.path
    #expect(try TuneRun(further).run().training.rows.count >= 8)
    var sft = try self.recipe("sft", rows: #"{"text": "a b c"}"# + "\n" + #"{"text": "d e f"}"#)
    sft.model = merged.path
    #expect { try TuneRun(sft).run() } throws: { "\($0)".contains("is a reward model") }
  }

  private func refuses(_ words: String, _ body: () throws -> Void) {
    #expect { try body() } throws: { "\($0)".contains(words) }
  }

  @Test func itStartsFromASavedAdapter() throws {
    let first = try TuneRun(try recipe()).run()
    let again = try TuneRun(try recipe(method: "{type: lora, init_from: \(first.folder.path)}")).run()
    let margin = { (rows: [MetricsRow]) in rows.compactMap { $0.figures?["margin"] }.first }
    let (start, later) = (try #require(margin(first.training.rows)), try #require(margin(again.training.rows)))
    #expect(later > start + 0.1)
    // An adapter that predicts tokens is a start as well; a reward model's is none for one that does.
    let texts = #"{"text": "a b c"}"# + "\n" + #"{"text": "d e f"}"#
    let sft = try TuneRun(try recipe("sft", rows: texts)).run()
    let above = try TuneRun(try recipe(method: "{type: lora, init_from: \(sft.folder.path)}")).run()
    #expect(try AdapterFolder.scoreHead(above.folder) == .reward)
    let after = try recipe("sft", method: "{type: lora, init_from: \(first.folder.path)}", rows: texts)
    refuses("reward model's adapter") { _ = try TuneRun(after).run() }
  }

  @Test func aRunGoesOnWhereItStopped() throws {
    let recipe = try recipe()
    let whole = try TuneRun(recipe).run().training.rows.compactMap(\.loss)
    var other = recipe
    other.output = folder.path("resumed")
    var steps = 0
    #expect(throws: TrainingInterrupted.self) {
      try TuneRun(other).run(shouldStop: { steps >= 4 }, observe: { if case .step = $0 { steps += 1 } })
    }
    #expect(try TuneRun(other).run(resuming: true).training.rows.compactMap(\.loss) == whole)
  }

  @Test func aModelIsUsedForWhatItCan() throws {
    let result = try TuneRun(try recipe()).run()
    let weights = try ModelWeights(folder.url.appending(path: "llama-tied"), options: ModelOptions(device: .cpu))
    refuses("attune reward score") { try weights.load(adapters: [result.folder.path]) }
    let texts = try recipe(rows: #"{"text": "a"}"# + "\n" + #"{"text": "b"}"#)
    refuses("pairs of answers") { _ = try TuneRun(texts).run() }
    let bottleneck = try recipe(method: "houlsby")
    refuses("AdapterHub") { _ = try TuneRun(bottleneck).run() }
  }

  @Test func marginsAreOfTheData() throws {
    let plain = try TuneRun(try recipe()).run().training.rows.compactMap(\.loss)
    let asked = Self.pairs.replacing(#""rejected""#, with: #""margin": 2, "rejected""#)
    let wide = try TuneRun(try recipe(rows: asked)).run().training.rows.compactMap(\.loss)
    #expect(wide[0] > plain[0] + 1)
    let text = try recipe(rows: Self.pairs.replacing(#""rejected""#, with: #""margin": "2", "rejected""#))
    refuses("“margin” is text") { _ = try TuneRun(text).run() }
  }

  @Test(arguments: ["reward", "{type: reward, center_rewards_coefficient: 0.01}"])
  func theRecipeReadsBack(_ objective: String) throws {
    let recipe = try recipe(objective)
    let again = try Recipe(recipe.yaml)
    #expect(again.yaml == recipe.yaml)
    let (own, read) = (recipe.objective.objective as? RewardModeling, again.objective.objective as? RewardModeling)
    #expect(own != nil && own?.centerRewardsCoefficient == read?.centerRewardsCoefficient)
  }
}
