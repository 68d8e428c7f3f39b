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

/// Virtual tokens in generation, scoring and choices, and a run from recipe to adapter.
@Suite struct SoftPromptUseTests {
  static let names = [
    "prompt-tuning-gpt2", "prompt-tuning-window", "p-tuning-lstm-llama", "prefix-tuning-qwen3", "prefix-tuning-window",
    "prefix-projection-gpt2",
  ]

  private func load(_ name: String) throws -> (model: any CausalLM, run: JSON) {
    let run = try Goldens.json("soft-prompts/\(name)/run.json")
    let set = try AdapterSet(try TinyModels.load(try #require(run["settings"]?["model"]?.string)))
    try AdapterFolder.load(Goldens.url("soft-prompts/\(name)"), into: set)
    return (set.model, run)
  }

  private func tokenizer() throws -> any Tokenizer {
    try BPETokenizer(tokenizerJSON: Array(try Data(contentsOf: Goldens.url("cli/tokenizer.json"))))
  }

  /// Greedy tokens are PEFT's: alone, together, twice, and with prompts that are read in pieces.
  @Test(arguments: names) func generatesWhatPEFTGenerates(name: String) throws {
    let (model, run) = try load(name)
    let rows = (run["greedy"]?.array ?? []).map { row in
      ["prompt", "new_tokens"].map { key in (row[key]?.array ?? []).compactMap(\.int).map(Int32.init) }
    }
    #expect(rows.count == 2)
    var settings = SamplingSettings()
    (settings.temperature, settings.maxNewTokens, settings.endTokens) = (0, 8, [])
    var generator = Generator(model, tokenizer: try tokenizer())
    for tokensPerPass in [2048, 3] {
      generator.tokensPerPass = tokensPerPass
      for prompts in [[rows[0][0]], [rows[1][0]], rows.map { $0[0] }, [rows[1][0], rows[0][0], rows[1][0]]] {
        let sequences = try generator.generate(prompts, settings: settings).sequences
        for (prompt, sequence) in zip(prompts, sequences) {
          #expect(sequence.ids == rows.first { $0[0] == prompt }?[1], "\(prompts.count) at once, \(tokensPerPass) a pass")
        }
      }
    }
    #expect { try generator.generate([[Int32](repeating: 5, count: model.tokenLimit)], settings: settings) } throws: {
      "\($0)".contains("virtual")
    }
    settings.maxNewTokens = 500
    let last = try generator.generate([rows[0][0]], settings: settings).sequences[0]
    #expect(last.promptTokens + last.ids.count == model.tokenLimit && last.finishReason == .context)
  }

  /// Choices score as whole rows do, whether what prompts share is read once or not.
  @Test(arguments: names) func choicesScoreAsRowsDo(name: String) throws {
    let (model, _) = try load(name)
    let prompts: [[Int32]] = [[9, 8, 7, 30], [9, 8, 7, 31], [9, 8, 41, 42, 43]]
    let items = prompts.map { ChoiceItem(prompt: $0, choices: [[5, 6], [11], [12, 13, 14]], answer: 0) }
    var scorer = ChoiceScorer(model)
    for shares in [true, false] {
      scorer.sharesPrefix = shares
      for (item, sums) in zip(items, try scorer.logProbs(items)) {
        let rows = try Scorer(model).logProbs(item.choices.map { item.prompt + $0 })
        for (row, sum) in zip(rows, sums) {
          let whole = row.dropFirst(item.prompt.count).reduce(0.0) { $0 + Double($1 ?? .nan) }
          #expect(abs(whole - sum) < 1e-3, "\(whole) in place of \(sum)")
        }
      }
    }
  }

  private static let methods = [
    "{ type: prompt_tuning, num_virtual_tokens: 4 }",
    "{ type: prompt_tuning, num_virtual_tokens: 4, prompt_tuning_init: TEXT, prompt_tuning_init_text: the sea }",
    "{ type: p_tuning, num_virtual_tokens: 4, encoder_hidden_size: 8 }",
    "{ type: p_tuning, num_virtual_tokens: 4, encoder_reparameterization_type: LSTM, encoder_hidden_size: 8 }",
    "{ type: prefix_tuning, num_virtual_tokens: 4 }",
    "{ type: prefix_tuning, num_virtual_tokens: 4, init_weights: TEXT, init_text: the sea }",
    "{ type: prefix_tuning, num_virtual_tokens: 4, prefix_projection: true, encoder_hidden_size: 8 }",
    "{ type: multitask_prompt_tuning, num_virtual_tokens: 4, num_tasks: 2 }",
  ]

  /// From a recipe to an adapter that loads, with a loss that has fallen, whatever the base and the architecture.
  @Test(arguments: methods, ["llama-tied", "gpt2", "qwen3"]) func tunesByRecipe(method: String, name: String) throws {
    let folder = try TemporaryFolder()
    let model = try TinyModels.folder(name, in: folder, contextLength: name == "gpt2" ? nil : 128)
    for part in 0..<2 {
      let rows = (0..<8).map { #"{"prompt": "the \#($0 + part)", "completion": " sea"}"# }
      try folder.write(rows.joined(separator: "\n") + "\n", to: "\(part).jsonl")
    }
    let sources = (0..<2).map { "{ path: \(folder.path("\($0).jsonl")) }" }.joined(separator: ", ")
    let recipe = try Recipe(
      """
      model: \(model.path)
      method: \(method)
      data: { train: [\(sources)], packing: true, max_length: 24, cache: false }
      train: { max_steps: 12, learning_rate: 0.05, log_every: 1, dtype: f32, gradient_checkpointing: full }
      output: \(folder.path("run"))
      """)
    let run = TuneRun(recipe)
    let result = try run.run()
    let losses = result.training.rows.compactMap(\.loss)
    #expect(losses.count == 12 && losses.suffix(3).reduce(0, +) < losses.prefix(3).reduce(0, +), "\(losses)")
    #expect(result.plan.trainableParameters == result.model.adapters.adapters[0].parameterCount)
    // The recipe that is kept reads back, and the adapter gives what the run's model does.
    _ = try Recipe(contentsOf: run.output.appending(path: "recipe.yaml"))
    let tokens = [[5, 6, 7]] as [[Int32]]
    let loaded = try LoadedModel(model.path, options: ModelOptions(dtype: .float32))
    try loaded.load(adapters: [folder.path("run")])
    let (own, again) = (try Scorer(result.model.model).logProbs(tokens), try Scorer(loaded.model).logProbs(tokens))
    for (a, b) in zip(own[0], again[0]).dropFirst() { #expect(abs((a ?? .nan) - (b ?? .nan)) < 1e-5) }
  }

  @Test func recipesThatCannotBe() throws {
    func refuses(_ words: String, _ method: String, data: String = "") throws {
      #expect { try Recipe("model: m\nmethod: \(method)\ndata: { train: a.jsonl }\noutput: o") } throws: {
        "\($0)".contains(words)
      }
    }
    try refuses("num_virtual_tokens", "{ type: prompt_tuning, num_virtual_tokens: 0 }")
    try refuses("prompt_tuning_init_text is missing", "{ type: prompt_tuning, prompt_tuning_init: TEXT }")
    try refuses("SAMPLE_VOCAB", "{ type: prompt_tuning, prompt_tuning_init: VOCAB }")
    try refuses("num_virtual_tokens", "{ type: prompt_tuning, num_virtual_token: 3 }")
    try refuses("three layers", "{ type: p_tuning, encoder_num_layers: 3 }")
    try refuses("leave one of them out", "{ type: prefix_tuning, prefix_projection: true, init_weights: SAMPLE_VOCAB }")
    try refuses(
      "one task",
      "{ type: multitask_prompt_tuning, num_tasks: 2, prompt_tuning_init: AVERAGE_SOURCE_TASKS, prompt_tuning_init_state_dict_path: a }"
    )
  }

  @Test func aSampleThatLeavesNoRoomIsSaidBefore() throws {
    let folder = try TemporaryFolder()
    let model = try TinyModels.folder("llama-tied", in: folder)
    try folder.write(#"{"text": "\#(String(repeating: "the sea ", count: 60))"}"# + "\n", to: "train.jsonl")
    let recipe = try Recipe(
      """
      model: \(model.path)
      method: { type: prompt_tuning, num_virtual_tokens: 30 }
      data: { train: \(folder.path("train.jsonl")), max_length: 60, truncation: keep-start, cache: false }
      train: { max_steps: 1 }
      output: \(folder.path("run"))
      """)
    #expect { try TuneRun(recipe).run() } throws: { "\($0)".contains("30 virtual tokens") && "\($0)".contains("max_length") }
  }
}
