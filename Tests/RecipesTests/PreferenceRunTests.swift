import Foundation
import Objectives
import TestSupport
import Testing
import Training

@testable import Recipes

/// Runs on pairs of answers, from recipe to adapter.
@Suite struct PreferenceRunTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func recipe(_ objective: String, method: String = "lora", rows: String? = nil, more: String = "") throws -> Recipe {
    let base = folder.url.appending(path: "llama-tied")
    if !FileManager.default.fileExists(atPath: base.path) { _ = try TinyModels.folder("llama-tied", in: folder) }
    let pair = #"{"prompt": "a b", "chosen": " c d", "rejected": " x"}"# + "\n"
    let data = try folder.write(rows ?? String(repeating: pair, count: 6), to: "data.jsonl")
    return try Recipe(
      """
      model: \(base.path)
      method: \(method)
      objective: \(objective)
      data: {train: \(data), eval_split: 0.2\(more)}
      train: {max_steps: 8, batch_size: 2, learning_rate: 1e-2, dtype: f32, device: cpu, log_every: 1}
      output: \(folder.path("run-\(UUID().uuidString)"))
      """)
  }

  private let varied = (0..<6).map { #"{"prompt": "a b \#($0)", "chosen": " c d", "rejected": " x"}"# }.joined(separator: "\n")

  @Test(arguments: ["dpo", "cpo", "simpo", "orpo"], ["lora", "full", "prompt_tuning"])
  func theBetterAnswerBecomesLikelier(_ objective: String, _ method: String) throws {
    let result = try TuneRun(try recipe(objective, method: method, rows: varied)).run()
    let rows = result.training.rows.filter { $0.figures != nil }
    let margins = rows.compactMap { $0.figures?["rewards/margins"] }
    #expect(margins.count == 8)
    #expect(try #require(margins.last) > #require(margins.first), "\(margins)")
    #expect(result.training.rows.contains { $0.evalFigures?["rewards/accuracies"] != nil })
    let losses = rows.compactMap(\.loss)
    #expect(try #require(losses.last) < #require(losses.first), "\(losses)")
    if objective == "dpo", method != "prompt_tuning" {
      // The model has not moved before the first step.
      #expect(abs(margins[0]) < 1e-4)
    }
  }

  @Test(arguments: ["kto", "{type: kto, loss_type: apo_zero_unpaired}"], ["lora", "full"])
  func goodAnswersBecomeLikelierThanBadOnes(_ objective: String, _ method: String) throws {
    let rows = (0..<6).map { index in
      #"{"prompt": "a b \#(index)", "completion": "\#(index % 2 == 0 ? " c d" : " x")", "label": \#(index % 2 == 0)}"#
    }.joined(separator: "\n")
    let result = try TuneRun(try recipe(objective, method: method, rows: rows)).run()
    let losses = result.training.rows.compactMap(\.loss)
    #expect(losses.count == 8 && abs(losses[0] - 0.5) < 1e-5, "\(losses)")
    #expect(try #require(losses.last) < losses[0] - 0.01, "\(losses)")
    let margins = result.training.rows.compactMap { $0.figures?["rewards/margins"] }
    #expect(try #require(margins.last) > 0.01, "\(margins)")
    #expect(result.training.rows.contains { ($0.evalFigures?["kl"] != nil) == (objective == "kto") && $0.evalFigures != nil })
  }

  @Test func aRunThatWentOnMeasuresAgainstTheSameModel() throws {
    let recipe = try recipe("dpo", rows: varied)
    let whole = try TuneRun(recipe).run().training.rows.compactMap(\.loss)
    var other = recipe
    other.output = folder.path("resumed")
    var steps = 0
    #expect(throws: TrainingInterrupted.self) {
      try TuneRun(other).run(shouldStop: { steps >= 4 }, observe: { if case .step = $0 { steps += 1 } })
    }
    #expect(try TuneRun(other).run(resuming: true).training.rows.compactMap(\.loss) == whole)
  }

  @Test(arguments: [
    ("dpo", #"{"prompt": "a", "completion": "b"}"#, "“dpo” learns from pairs of answers"),
    ("sft", #"{"prompt": "a", "chosen": "b", "rejected": "c"}"#, "“sft” learns from texts and answers"),
    ("kto", #"{"prompt": "a", "completion": "b"}"#, "“kto” learns from answers with a label"),
    ("dpo", #"{"prompt": "a", "completion": "b", "label": true}"#, "the data are answers with a label"),
  ])
  func otherDataAreRefused(_ objective: String, _ row: String, _ expected: String) throws {
    let rows = row + "\n" + row.replacing("\"a\"", with: "\"a a\"")
    #expect { try TuneRun(try recipe(objective, rows: rows)).run() } throws: { "\($0)".contains(expected) }
  }

  @Test(arguments: [
    ("{type: dpo, loss_type: sigmoidd}", "did you mean “sigmoid”?"), ("{type: dpo, beta: -1}", "beta"),
    ("{type: dpo, loss_type: [sigmoid, sft], loss_weights: [1]}", "1 numbers for 2 losses"),
    ("{type: kto, desirable_weight: -1}", "desirable_weight"), ("{type: kto, loss_type: dpo}", "apo_zero_unpaired"),
    ("{type: dpo, loss_type: exo_pair}", "must be above 0"), ("{type: simpo, cpo_alpha: 1}", "cpo_alpha"),
    ("{type: dpo, loss_type: nca_pair, f_divergence_type: forward_kl}", "f_divergence_type"),
  ])
  func settingsThatDoNotFitAreRefused(_ objective: String, _ expected: String) throws {
    #expect { try recipe(objective) } throws: { "\($0)".contains(expected) }
  }

  @Test(arguments: [
    "{type: dpo, beta: 0.3, loss_type: [ipo, sft], loss_weights: [1, 0.2], f_divergence_type: js_divergence}",
    "{type: dpo, f_divergence_type: alpha_divergence, f_alpha_divergence_coef: 0.7}", "{type: cpo, cpo_alpha: 0.5}",
    "{type: simpo, simpo_gamma: 1, beta: 2.5, label_smoothing: 0.1}", "{type: orpo, beta: 0.2}", "sft",
    "{type: kto, beta: 0.2, loss_type: apo_zero_unpaired, desirable_weight: 1.5, undesirable_weight: 0.5}",
  ])
  func theRecipeReadsBack(_ objective: String) throws {
    let recipe = try recipe(objective)
    #expect(try Recipe(recipe.yaml).yaml == recipe.yaml)
    #expect(recipe.objective.objective.name == (try Recipe(recipe.yaml)).objective.objective.name)
  }
}
