import Evaluation
import Foundation
import Generation
import NN
import TestSupport
import Testing
import Text
import Torch
import Training
import Tuners

@testable import Recipes

/// Bottleneck adapters from a recipe to use: alone, on top of others, mixed.
@Suite struct BottleneckUseTests {
  private let folder: TemporaryFolder
  private let model: URL
  private static let tokens: [[Int32]] = [[5, 6, 7, 9, 11]]

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder, contextLength: 128)
    let rows = (0..<8).map { #"{"prompt": "the \#($0)", "completion": " sea"}"# }
    try folder.write(rows.joined(separator: "\n") + "\n", to: "train.jsonl")
  }

  private func tune(_ method: String, model: URL? = nil, to output: String) throws -> (run: TuneRun, result: TuneResult) {
    let recipe = try Recipe(
      """
      model: \((model ?? self.model).path)
      method: \(method)
      data: { train: \(folder.path("train.jsonl")), packing: true, max_length: 24, cache: false }
      train: { max_steps: 12, learning_rate: 0.02, log_every: 1, dtype: f32, gradient_checkpointing: selective }
      output: \(folder.path(output))
      """)
    let run = TuneRun(recipe)
    return (run, try run.run())
  }

  private func scores(_ adapters: String..., model: URL? = nil) throws -> [Double] {
    let loaded = try LoadedModel((model ?? self.model).path, options: ModelOptions(dtype: .float32))
    try loaded.load(adapters: adapters.map(folder.path))
    return try scores(loaded.model)
  }

  private func scores(_ model: any CausalLM) throws -> [Double] {
    try Scorer(model).logProbs(Self.tokens)[0].dropFirst().map { Double($0 ?? .nan) }
  }

  private func difference(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).map { abs($0 - $1) }.max() ?? .nan }

  private static let methods = [
    "{ type: houlsby, reduction_factor: 8 }", "{ type: pfeiffer, reduction_factor: 4, mh_adapter: true }",
    "{ type: parallel, leave_out: [0] }", "{ type: scaled_par_bn, scaling: channel }",
    "{ type: compacter, reduction_factor: 4, phm_rank: 2 }", "{ type: seq_bn_inv, dropout: 0.1 }",
  ]

  @Test(arguments: methods, ["llama-tied", "gpt2", "qwen3"]) func tunesByRecipe(method: String, name: String) throws {
    let model = name == "llama-tied" ? model : try TinyModels.folder(name, in: folder)
    let (run, result) = try tune(method, model: model, to: "run")
    let losses = result.training.rows.compactMap(\.loss)
    #expect(losses.count == 12 && losses.suffix(3).reduce(0, +) < losses.prefix(3).reduce(0, +), "\(losses)")
    #expect(result.plan.trainableParameters == result.model.adapters.adapters[0].parameterCount)
    _ = try Recipe(contentsOf: run.output.appending(path: "recipe.yaml"))
    #expect(difference(try scores(result.model.model), try scores("run", model: model)) < 1e-5)
    let summary = try AdapterSummary(folder.url.appending(path: "run/adapter"))
    #expect(summary.layout == .adapterHub && summary.damaged.isEmpty && summary.base == model.path)
    #expect(summary.targets.contains("output_adapters") && summary.parameterCount == result.plan.trainableParameters)
    #expect(AdapterPlaces.isAdapter(folder.url.appending(path: "run/adapter")))
  }

  /// What is below stays as it is, and what is on top has learnt to stand on it.
  @Test func anAdapterLearnsOnTopOfAnother() throws {
    _ = try tune("{ type: seq_bn_inv, reduction_factor: 8 }", to: "language")
    let weights = folder.path("language/adapter/adapter.safetensors")
    let before = try Data(contentsOf: URL(filePath: weights))
    let (run, result) = try tune("{ type: houlsby, reduction_factor: 8, stack_on: \(folder.path("language")) }", to: "task")
    #expect(result.model.adapters.active == ["language", "default"])
    #expect(try Data(contentsOf: URL(filePath: weights)) == before)
    let whole = try scores(result.model.model)
    #expect(difference(whole, try scores("language", "task")) < 1e-5)
    #expect(difference(whole, try scores("task")) > 1e-3)
    #expect(difference(whole, try scores("task", "language")) > 1e-6)
    let kept = try Recipe(contentsOf: run.output.appending(path: "recipe.yaml"))
    #expect(kept.method.below == [folder.path("language")])
    // Any method may stand on them.
    let lora = try tune("{ type: lora, r: 2, stack_on: [\(folder.path("language")), \(folder.path("task"))] }", to: "lora")
    #expect(lora.result.model.adapters.active == ["language", "task", "default"])
    #expect(difference(try scores(lora.result.model.model), try scores("language", "task", "lora")) < 1e-5)
  }

  @Test func whatIsToStandBelowMustBeThere() throws {
    let recipe = try Recipe(
      """
      model: \(model.path)
      method: { type: pfeiffer, stack_on: \(folder.path("nowhere")) }
      data: { train: \(folder.path("train.jsonl")) }
      output: \(folder.path("run"))
      """)
    #expect { try TuneRun(recipe).check(resuming: false, overwriting: false) } throws: { "\($0)".contains("nowhere") }
  }

  @Test func severalAreMixed() throws {
    for name in ["sea.v1", "land"] { _ = try tune("{ type: pfeiffer, reduction_factor: 8 }", to: name) }
    let method = "{ type: fusion, adapters: [\(folder.path("sea.v1")), \(folder.path("land"))] }"
    let (_, result) = try tune(method, to: "fusion")
    #expect(difference(try scores(result.model.model), try scores("fusion")) < 1e-5)
    for file in ["adapter_fusion_config.json", "sea_v1/adapter_config.json", "land/adapter.safetensors"] {
      #expect(FileManager.default.fileExists(atPath: folder.path("fusion/adapter/\(file)")), "\(file)")
    }
    let summary = try AdapterSummary(folder.url.appending(path: "fusion/adapter"))
    #expect(summary.method == "fusion" && summary.layout == .adapterHub)
    #expect(try AdapterPlaces.find(in: folder.url.path).contains { $0.path.hasSuffix("fusion/adapter") })
    #expect {
      try self.tune("{ type: fusion, adapters: [\(folder.path("land")), \(folder.path("nothing"))] }", to: "none")
    } throws: { "\($0)".contains("nothing") }
  }

  /// A row that is read at once and one that is read token by token behind a cache give the same.
  @Test func generatesBehindACache() throws {
    _ = try tune("{ type: seq_bn_inv, reduction_factor: 4 }", to: "run")
    let loaded = try LoadedModel(model.path, options: ModelOptions(dtype: .float32))
    try loaded.load(adapters: [folder.path("run")])
    let cache = loaded.model.makeCache()
    try withoutGradients { () throws in
      let whole = try loaded.model.logits(try ModelInput(rows: Self.tokens))
      for (place, token) in Self.tokens[0].enumerated() {
        let step = try loaded.model.logits(try ModelInput(rows: [[token]], cache: cache))
        #expect(try mismatch(step, try whole.narrowed(1, place..<place + 1), absolute: 1e-4) == nil, "\(place)")
      }
    }
  }

  @Test func recipesThatCannotBe() throws {
    func refuses(_ words: String, _ method: String) {
      #expect { try Recipe("model: m\nmethod: \(method)\ndata: { train: a.jsonl }\noutput: o") } throws: {
        "\($0)".contains(words)
      }
    }
    refuses("reduction_factor", "{ type: houlsby, reduction_factor: 0 }")
    refuses("no place for a bottleneck", "{ type: pfeiffer, output_adapter: false }")
    refuses("non_linearity", "{ type: pfeiffer, non_linearity: selu }")
    refuses("scaling", "{ type: parallel, scaling: much }")
    refuses("init_weights is mam_adapter", "{ type: parallel, phm_layer: true }")
    refuses("reduction_factor", "{ type: houlsby, reduction_facto: 8 }")
    refuses("two at least", "{ type: fusion, adapters: one }")
    refuses("nothing to learn", "{ type: fusion, query: false, key: false, value: false }")
  }
}
