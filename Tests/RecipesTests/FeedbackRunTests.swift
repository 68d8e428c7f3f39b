import Checkpoints
import Foundation
import Preferences
import Synchronization
import TestSupport
import Testing
import Text
import Training

@testable import Recipes

/// Rounds of answering, judging and tuning, on a tiny model.
@Suite struct FeedbackRunTests {
  let folder: TemporaryFolder
  private let base: URL

  init() throws {
    folder = try TemporaryFolder()
    base = try TinyModels.folder("llama-tied", in: folder, contextLength: 4096)
    let rows = ["a b", "c d", "e f", "a c", "b d", "x y"].map { #"{"prompt": "\#($0)", "completion": " left out"}"# }
    try folder.write(rows.joined(separator: "\n"), to: "prompts.jsonl")
  }

  private func recipe(_ objective: String = "", output: String = "run", train: String = "max_steps: 3") throws -> Recipe {
    try Recipe(
      """
      model: \(base.path)
      method: {type: lora, r: 4}
      objective: {type: rlaif, rounds: 2, max_completion_length: 6, generation_batch_size: 4\(objective)}
      data: {train: \(folder.path("prompts.jsonl"))}
      train: {\(train), batch_size: 2, learning_rate: 1e-2, dtype: f32, device: cpu, log_every: 1, save_every: 1}
      output: \(folder.path(output))
      """)
  }

  private func lines(_ path: String) throws -> [JSON] {
    try String(contentsOfFile: folder.path(path), encoding: .utf8).split(separator: "\n").map { try JSON(parsing: String($0)) }
  }

  /// What a run leaves, but for the files that tell times and folders.
  private func remains(_ output: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for round in 1...2 {
      for name in ["answers.jsonl", "preferences.jsonl", "round.json", "tune/adapter/adapter_model.safetensors"] {
        files["\(round)/\(name)"] = try Data(contentsOf: URL(filePath: folder.path("\(output)/rounds/\(round)/\(name)")))
      }
    }
    files["adapter"] = try Data(contentsOf: URL(filePath: folder.path("\(output)/adapter/adapter_model.safetensors")))
    return files
  }

  @Test func twoRoundsWithItselfAsJudge() throws {
    let run = try #require(FeedbackRun(try recipe()))
    try run.check(resuming: false, overwriting: false)
    let result = try run.run()
    #expect(result.rounds.map(\.round) == [1, 2])
    for round in result.rounds {
      #expect(round.prompts == 6 && round.answers > 6)
      #expect(round.verdicts == 2 * round.pairs && round.failures == 0)
      #expect(round.preferences > 0 && round.preferences + round.ties == round.pairs)
      #expect(round.steps == 3)
    }
    // Everything of a round is there, and the second one goes on from the first.
    let answers = try lines("run/rounds/1/answers.jsonl")
    #expect(answers.count == 6)
    #expect(answers[5]["prompt"] == "x y")
    let second = try String(contentsOfFile: folder.path("run/rounds/2/tune/recipe.yaml"), encoding: .utf8)
    #expect(second.contains("init_from: \"\(folder.path("run/rounds/1/tune/adapter"))\""))
    #expect(try remains("run")["2/tune/adapter/adapter_model.safetensors"] == remains("run")["adapter"])
    #expect(try remains("run")["1/tune/adapter/adapter_model.safetensors"] != remains("run")["adapter"])
    #expect(try lines("run/metrics.jsonl").count == 2)
    #expect(try String(contentsOfFile: folder.path("run/report.html"), encoding: .utf8).contains("Preferences of round 2"))
    // A person can look at the judge's verdicts in the same store.
    let store = try PreferenceStore(folder.path("run/rounds/1/feedback.sqlite"), creating: false)
    #expect(try LabelingSession(store, rater: "ann").remaining == result.rounds[0].pairs)
    #expect(throws: RecipeError.self) { try run.check(resuming: false, overwriting: false) }
  }

  @Test func whatAnEndpointPrefersIsLearnt() throws {
    let endpoint = try StubEndpoint { request in
      let (a, b) = (request.answer("A").count, request.answer("B").count)
      return .text(#"{"reason": "longer", "verdict": "\#(a == b ? "tie" : a > b ? "A" : "B")"}"#)
    }
    let judge = ", num_generations: 3, judge: {endpoint: \(endpoint.base), model: stub, retry_delay: 0}"
    let result = try #require(FeedbackRun(try recipe(judge))).run()
    #expect(result.rounds.allSatisfy { $0.preferences > 0 && $0.consistent == $0.bothOrders })
    for round in 1...2 {
      let rows = try lines("run/rounds/\(round)/preferences.jsonl")
      let length = { (row: JSON, key: String) in row[key]?.string?.count ?? 0 }
      #expect(rows.allSatisfy { length($0, "chosen") > length($0, "rejected") })
    }
    #expect(endpoint.requests.count == result.rounds.reduce(0) { $0 + $1.verdicts })
  }

  @Test(arguments: [3, 9, 16, 22, 30]) func aRunThatWentOnIsTheSame(_ stop: Int) throws {
    _ = try #require(FeedbackRun(try recipe(output: "whole"))).run()
    let run = try #require(FeedbackRun(try recipe(output: "parts")))
    var events = 0
    do {
      _ = try run.run(shouldStop: { events >= stop }, observe: { _ in events += 1 })
      Issue.record("the run was not stopped")
    } catch is FeedbackStopped {} catch is TrainingInterrupted {}
    try run.check(resuming: true, overwriting: false)
    _ = try run.run(resuming: true)
    let (whole, parts) = (try remains("whole"), try remains("parts"))
    for (name, data) in whole { #expect(parts[name] == data, "\(name)") }
  }

  @Test func aJudgeThatFailsLosesNothing() throws {
    let calls = Mutex(0)
    let endpoint = try StubEndpoint { request in
      let number = calls.withLock { calls in
        calls += 1
        return calls
      }
      return number <= 5 ? .text(request.answer("A") > request.answer("B") ? "A" : "B") : .status(503)
    }
    let judge =
      ", judge: {endpoint: \(endpoint.base), model: stub, retry_delay: 0, attempts: 1, concurrency: 1, failure_limit: 3}"
    let run = try #require(FeedbackRun(try recipe(judge)))
    let error = #expect(throws: RecipeError.self) { try run.run() }
    #expect(error?.description.contains("3 questions in a row failed") == true)
    let store = try PreferenceStore(folder.path("run/rounds/1/feedback.sqlite"), creating: false)
    #expect(try store.verdicts().count == 5)
    calls.withLock { $0 = -10_000 }
    let before = try Data(contentsOf: URL(filePath: folder.path("run/rounds/1/answers.jsonl")))
    let result = try run.run(resuming: true)
    #expect(result.rounds.count == 2 && result.rounds[0].failures == 0)
    #expect(try Data(contentsOf: URL(filePath: folder.path("run/rounds/1/answers.jsonl"))) == before)
  }

  @Test func nothingButTiesIsSaid() throws {
    let endpoint = try StubEndpoint { _ in .text("tie") }
    let run = try #require(FeedbackRun(try recipe(", judge: {endpoint: \(endpoint.base), model: stub}")))
    let error = #expect(throws: RecipeError.self) { try run.run() }
    #expect(error?.description.contains("prefers no answer to another") == true)
  }

  @Test func principlesReviseAnswers() throws {
    let result = try #require(
      FeedbackRun(try recipe(", principles: [Be brief., Be kind.], revisions: 2, prompts_per_round: 4"))
    ).run()
    #expect(result.rounds.allSatisfy { $0.prompts == 4 && $0.revised > 0 })
    let line = try #require(try lines("run/rounds/1/revisions.jsonl").first { $0["steps"]?.array?.count == 2 })
    #expect(["Be brief.", "Be kind."].contains(line["steps"]?[0]?["principle"]?.string))
    #expect(line["revision"] == line["steps"]?[1]?["revision"])
    // What is judged is the revised answer.
    let revisions = Set(try lines("run/rounds/1/revisions.jsonl").compactMap { ($0["revision"]?.string ?? $0["answer"]?.string) })
    for row in try lines("run/rounds/1/preferences.jsonl") {
      #expect(revisions.contains(row["chosen"]?.string ?? ""))
    }
  }

  @Test func revisedAnswersAreLearntWithoutAJudge() throws {
    let result = try #require(FeedbackRun(try recipe(", principles: [Be brief.], revise: sft"))).run()
    #expect(result.rounds.allSatisfy { $0.verdicts == 0 && $0.revised > 0 && $0.steps == 3 })
    let yaml = try String(contentsOfFile: folder.path("run/rounds/1/tune/recipe.yaml"), encoding: .utf8)
    #expect(yaml.contains("objective: { type: sft }"))
    #expect(!FileManager.default.fileExists(atPath: folder.path("run/rounds/1/feedback.sqlite")))
  }

  @Test func aTornLineIsSampledAgain() throws {
    let log = LineLog(url: folder.url.appending(path: "log.jsonl"))
    try log.append([["a": 1], ["a": 2]])
    let file = try FileHandle(forWritingTo: log.url)
    try file.seekToEnd()
    try file.write(contentsOf: Data(#"{"a": "#.utf8))
    try file.close()
    #expect(try log.read() == [["a": 1], ["a": 2]])
    try log.append([["a": 3]])
    #expect(try log.read() == [["a": 1], ["a": 2], ["a": 3]])
  }

  @Test func aRecipeReadsBack() throws {
    let endpoint =
      "{endpoint: \"http://localhost:1/v1\", model: m, requests_per_minute: 30, request: {max_tokens: null, top_k: 4}, rubric: \"be “brief”\"}"
    for objective in [
      "", ", principles: [\"Be: kind\"], revise: sft", ", judge: \(endpoint)", ", judge: {combine: mean, tie_margin: 0.1}",
    ] {
      let recipe = try recipe(objective)
      #expect(try Recipe(recipe.yaml).yaml == recipe.yaml)
      #expect(recipe.yaml.contains("type: rlaif"))
    }
  }

  @Test(arguments: [
    (", judges: x", "objective.judges"), (", temperature: 0", "objective.temperature"),
    (", num_generations: 1", "objective.num_generations"),
    (", revise: sft", "principles"), (", judge: {endpoint: nowhere, model: m}", "no http or https URL"),
    (", judge: {endpoint: \"http://x/v1\"}", "objective.judge.model"), (", judge: {tie_margin: 0.1}", "combine: mean"),
    (", judge: {timeout: 3}", "objective.judge.timeout"),
  ])
  func mistakesAreNamed(_ objective: String, _ words: String) throws {
    let error = #expect(throws: RecipeError.self) { try recipe(objective) }
    #expect(error?.description.contains(words) == true, "\(error.map(\.description) ?? "")")
  }

  @Test func whatCannotGoRoundIsRefused() throws {
    var full = try recipe()
    full = try Recipe(full.yaml.replacing(/method:\n(  .*\n)+/, with: "method: full\n"))
    #expect(throws: RecipeError.self) { try #require(FeedbackRun(full)).check(resuming: false, overwriting: false) }
    #expect(throws: RecipeError.self) {
      try #require(FeedbackRun(try recipe(", judge: no-such-model"))).check(resuming: false, overwriting: false)
    }
    try folder.write(#"{"text": "no prompt here"}"#, to: "prompts.jsonl")
    let error = #expect(throws: RecipeError.self) { try #require(FeedbackRun(try recipe())).run() }
    #expect(error?.description.contains("prompts.jsonl:1") == true)
  }
}
