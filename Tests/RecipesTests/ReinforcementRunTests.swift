import Foundation
import Objectives
import Reinforcement
import Rewards
import TestSupport
import Testing
import Training

@testable import Recipes

/// Runs on the model's own answers, from recipe to adapter.
@Suite struct ReinforcementRunTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private let length = "rewards: [{type: length, unit: characters, max: 2, slope: 60}]"

  private func recipe(_ objective: String, method: String = "lora", rows: String? = nil, more: String = "") throws -> Recipe {
    let base = folder.url.appending(path: "llama-tied")
    if !FileManager.default.fileExists(atPath: base.path) { _ = try TinyModels.folder("llama-tied", in: folder) }
    let prompts = (0..<6).map { #"{"prompt": "a b \#($0)", "answer": "c"}"# }.joined(separator: "\n")
    let data = try folder.write(rows ?? prompts, to: "data.jsonl")
    return try Recipe(
      """
      model: \(base.path)
      method: \(method)
      objective: \(objective)
      data: {train: \(data)\(more)}
      train: {max_steps: 3, epochs: 20, batch_size: 8, learning_rate: 1e-2, dtype: f32, device: cpu, log_every: 1}
      output: \(folder.path("run-\(UUID().uuidString)"))
      """)
  }

  @Test(arguments: [
    ("type: grpo, num_generations: 4, beta: 0.1", "kl"), ("type: rloo", "objective/kl"), ("type: reinforce++", "objective/kl"),
    ("type: ppo, num_ppo_epochs: 1", "kl_coef"), ("type: online_dpo", "rewards/margins"),
  ])
  func aRunLeavesItsFiles(_ objective: String, _ figure: String) throws {
    let recipe = try recipe("{\(objective), max_completion_length: 6, \(length)}")
    let run = TuneRun(recipe)
    let rows = try run.run().training.rows
    #expect(rows.count == 3 && rows.allSatisfy { $0.figures?["reward"] != nil && $0.figures?[figure] != nil })
    let names = ["rollouts.jsonl", "report.html", "adapter/adapter_config.json", "metrics.jsonl"]
    for name in names { #expect(FileManager.default.fileExists(atPath: run.output.appending(path: name).path), "\(name)") }
    let report = try String(contentsOf: run.output.appending(path: "report.html"), encoding: .utf8)
    #expect(report.contains("The last answers") && report.contains("<h2>reward</h2>"))
    let head = FileManager.default.fileExists(atPath: run.output.appending(path: "adapter/value_head.safetensors").path)
    #expect(head == objective.contains("ppo"))
  }

  /// A saved adapter that a run goes on from is also what the run is held to: before the first step there is no divergence.
  @Test func theReferenceOfASavedAdapterIsThatAdapter() throws {
    let first = TuneRun(try recipe("{type: grpo, num_generations: 4, max_completion_length: 6, \(length)}"))
    try first.run()
    let next = try recipe(
      "{type: grpo, num_generations: 4, beta: 0.1, max_completion_length: 6, \(length)}",
      method: "{init_from: \(first.resultFolder.path)}")
    let rows = try TuneRun(next).run().training.rows
    #expect(abs(try #require(rows[0].figures?["kl"])) < 1e-6 && (rows[2].figures?["kl"] ?? 0) > 0)
  }

  @Test func aResolvedRecipeReadsBackToTheSame() throws {
    for objective in [
      "{type: grpo, loss_type: cispo, importance_sampling_level: sequence, epsilon_high: 3, delta: 2, beta: 0.1, scale_rewards: none, "
        + "resample_silent_groups: 2, stop: [\"\\n\"], rewards: [{type: regex, pattern: \"^\\\\d+$\", weight: 2, name: digits}, {type: length, max: 3}]}",
      "{type: rloo, normalize_advantages: true, reward_clip_range: [-1, 2], rewards: [{type: exact_match}]}",
      "{type: reinforce++, use_baseline: true, num_generations: 2, rewards: [{type: exact_match}]}",
      "{type: ppo, kl_target: 6, whiten_rewards: true, rewards: [{type: command, command: [a, b], timeout: 3}]}",
      "{type: online_dpo, loss_type: ipo, rewards: [{type: json_schema, schema: {type: object}, partial: 0.5}]}",
    ] {
      let yaml = try recipe(objective).yaml
      #expect(try Recipe(yaml).yaml == yaml)
    }
  }

  @Test(arguments: [
    ("{type: grpo}", "“objective.rewards” is missing"), ("{type: grpo, rewards: [{type: regexp}]}", "known are exact_match"),
    ("{type: grpo, rewards: [{type: regex, pattern: \"(\"}]}", "no regular expression"),
    ("{type: grpo, rewards: [{type: regex, pattern: a, mode: whole}]}", "search, full"),
    ("{type: grpo, num_generations: 3, rewards: [{type: exact_match}]}", "no multiple of num_generations"),
    ("{type: rloo, num_generations: 1, rewards: [{type: exact_match}]}", "give 2 or more"),
    ("{type: grpo, beta: -1, rewards: [{type: exact_match}]}", "beta"),
    ("{type: ppo, epsilon: 0.2, rewards: [{type: exact_match}]}", "epsilon"),
  ])
  func recipesThatDoNotFitAreRefused(_ objective: String, _ expected: String) throws {
    #expect { try recipe(objective) } throws: { "\($0)".contains(expected) }
  }

  @Test func whatHasNoReferenceIsRefused() throws {
    let recipe = try recipe("{type: grpo, num_generations: 4, beta: 0.1, \(length)}", method: "full")
    #expect { try TuneRun(recipe).run() } throws: { "\($0)".contains("set beta to 0") }
  }

  @Test func evaluationDataAreRefused() throws {
    #expect { try recipe("{type: grpo, num_generations: 4, \(length)}", more: ", eval_split: 0.2") } throws: {
      "\($0)".contains("evaluation data")
    }
  }

  @Test func runningTextHasNoPrompt() throws {
    let recipe = try recipe("{type: grpo, num_generations: 4, \(length)}", rows: #"{"text": "a b"}"#)
    #expect { try TuneRun(recipe).run() } throws: { "\($0)".contains("holds no prompt") }
  }
}
