import Datasets
import Foundation
import Generation
import NN
import Objectives
import OrderedCollections
import Rewards
import TestSupport
import Testing
import Text
import Torch
import Training
import Tuners

@testable import Reinforcement

/// Runs of GRPO and RLOO against TRL's trainers with given answers: losses, figures, and what the tuned model says at the end.
@Suite struct PolicyReferenceTests {
  private let golden: JSON

  init() throws { golden = try Goldens.json("reinforcement/runs.json") }

  /// Rounds of answers that were given, in order.
  private final class GivenRounds: BatchSource {
    let maker: ExperienceMaker
    let rounds: [[Rollout]]
    var samples: [EncodedSample] = []
    var plan = RoundPlan(samples: 0, batchSize: 1, iterations: 1)
    var round = 0
    let position: DataLoader.Position
    let epoch = 0.0
    let isAtEpochEnd = false

    init(_ rounds: [[Rollout]], _ maker: ExperienceMaker) throws {
      (self.rounds, self.maker) = (rounds, maker)
      position = try DataLoader(EncodedPrompts(rounds[0].map(\.prompt)).dataset, plan: BatchPlan(batchSize: 1)).position
    }

    func stepCount(accumulating count: Int) -> Int? { nil }

    func nextBatches(_ count: Int, shouldStop: () -> Bool) throws -> [Batch] {
      if plan.isSpent {
        samples = try maker.make(rounds[round]).samples
        plan = RoundPlan(samples: samples.count, batchSize: maker.settings.batchSize, iterations: maker.settings.iterations)
        round += 1
      }
      return plan.next(count).map { Batch(Array($0), of: samples) }
    }

    func takeFigures() -> Figures { Figures() }
    func save(to folder: URL) {}
    func restore(_ position: DataLoader.Position, from folder: URL) {}
  }

  private func ids(_ json: JSON) -> [Int32] { (json.array ?? []).compactMap(\.int).map(Int32.init) }

  private func rounds(_ settings: RolloutSettings) throws -> [[Rollout]] {
    let prompts = try #require(golden["prompts"]?.array)
    let (answers, worth) = (try #require(golden["answers"]?.array), try #require(golden["worth"]?.array))
    let end = try #require(golden["end"]?.int)
    let all = prompts.indices.flatMap { index -> [Rollout] in
      let prompt = EncodedPrompt(ids: ids(prompts[index]), text: "", location: SourceLocation(file: "runs.json", line: index + 1))
      return zip(answers[index].array ?? [], worth[index].array ?? []).map { answer, worth in
        let own = ids(answer)
        let completion = Completion(prompt: "", text: "", ids: own, isFinished: own.last == Int32(end))
        let reward = worth.double.map { score in
          settings.rewardRange.map { min(max(score, $0.lowerBound), $0.upperBound) } ?? score
        }
        return Rollout(prompt: prompt, completion: completion, parts: [:], reward: reward)
      }
    }
    let size = try #require(golden["batch_size"]?.int)
    return stride(from: 0, to: all.count, by: size).map { Array(all[$0..<$0 + size]) }
  }

  private func settings(_ run: JSON) throws -> (objective: any Objective, rollouts: RolloutSettings) {
    let json = run["settings"]
    var rollouts = RolloutSettings()
    let accumulation = run["accumulation"]?.int ?? 1
    (rollouts.batchSize, rollouts.batchesPerGeneration) = ((golden["batch_size"]?.int ?? 0) / accumulation, accumulation)
    rollouts.generations = golden["group"]?.int ?? 0
    rollouts.iterations = json?["num_iterations"]?.int ?? 1
    rollouts.sampling.temperature = json?["temperature"]?.double ?? 1
    rollouts.masksTruncated = json?["mask_truncated_completions"]?.bool ?? false
    if let range = json?["reward_clip_range"]?.array, let low = range[0].double, let high = range[1].double {
      rollouts.rewardRange = low...high
    }
    if run["trainer"]?.string == "rloo" {
      var policy = LeaveOneOutPolicy()
      policy.epsilon = json?["epsilon"]?.double ?? policy.epsilon
      rollouts.estimator = .leaveOneOut(
        beta: json?["beta"]?.double ?? 0.05, normalizes: json?["normalize_advantages"]?.bool ?? false)
      return (policy, rollouts)
    }
    var policy = PolicySettings()
    policy.loss = PolicySettings.Loss(rawValue: json?["loss_type"]?.string ?? "dapo") ?? .dapo
    policy.level = PolicySettings.Level(rawValue: json?["importance_sampling_level"]?.string ?? "token") ?? .token
    policy.epsilon = json?["epsilon"]?.double ?? 0.2
    policy.epsilonHigh = json?["epsilon_high"]?.double
    policy.delta = json?["delta"]?.double
    policy.beta = json?["beta"]?.double ?? 0
    policy.correctsDivergence = json?["use_bias_correction_kl"]?.bool ?? true
    policy.maxCompletionLength = golden["max_completion_length"]?.int ?? 0
    policy.temperature = rollouts.sampling.temperature
    rollouts.lossBeta = policy.beta
    rollouts.estimator = .group(RewardScale(rawValue: json?["scale_rewards"]?.string ?? "group") ?? .group)
    return (GroupRelativePolicy(policy), rollouts)
  }

  @Test func stepsAreTheReferences() throws {
    let runs = try #require(golden["runs"]?.object)
    #expect(runs.count == 18)
    for (name, run) in runs {
      let folder = try TemporaryFolder()
      let set = try AdapterSet(try TinyModels.load("llama-tied"))
      let adapter = try AdapterFolder.load(Goldens.url("preference/adapter"), into: set)
      // What TRL holds the policy to is a copy of the adapter as it was loaded.
      let copy = try AdapterFolder.load(Goldens.url("preference/adapter"), into: set, named: "reference")
      try copy.setTrainable(false)
      try set.activate(["default"])
      let (objective, rollouts) = try settings(run)
      var options = TrainingOptions()
      options.learningRate = golden["learning_rate"]?.double ?? 0
      (options.schedule, options.maxGradientNorm, options.logEvery) = (.constant, 1, 1)
      options.gradientAccumulation = run["accumulation"]?.int ?? 1
      let steps = try #require(run["steps"]?.array)
      options.maxSteps = steps.count
      let policy = Policy(model: set.model, tokenizer: try tokenizer()) { body in
        try set.activate(["reference"])
        try body()
        try set.activate(["default"])
      }
      let maker = ExperienceMaker(
        policy: policy, settings: rollouts, outlivesSteps: rollouts.iterations > 1, beta: run["settings"]?["beta"]?.double ?? 0.05
      )
      let source = try GivenRounds(try rounds(rollouts), maker)
      let rows = try Trainer(
        model: set.model, part: adapter.tunedPart(base: "llama-tied"), objective: objective, batches: source, evalSamples: [],
        options: options, output: folder.url
      ).run(resuming: false).rows
      #expect(rows.count == steps.count)
      for (row, step) in zip(rows, steps) {
        let loss = try #require(step["loss"]?.double)
        #expect(
          abs(try #require(row.loss) - loss) <= 1e-4 * max(1, abs(loss)), "\(name), step \(row.step): \(row.loss ?? 0) \(loss)")
        for (key, value) in row.figures ?? [:] where !(key == "kl" && name.hasPrefix("rloo")) {
          guard let expected = step[key]?.double else { continue }
          #expect(abs(value - expected) <= 1e-4 * max(1, abs(expected)), "\(name), step \(row.step): \(key)")
        }
      }
      try compareEnd(name, run, set.model)
    }
  }

  /// ln p of the first answers by the tuned model: where ratios are 1 a loss says nothing of the gradient, this does.
  private func compareEnd(_ name: String, _ run: JSON, _ model: any CausalLM) throws {
    let answers = try rounds(RolloutSettings())[0]
    let samples = answers.enumerated().map { index, rollout in
      let (prompt, answer) = (rollout.prompt.ids, rollout.completion.ids)
      return EncodedSample(
        ids: prompt + answer, trained: prompt.map { _ in false } + answer.map { _ in true }, location: rollout.prompt.location,
        index: index)
    }
    let final = try #require(try samples.measured(against: model)).compactMap(\.reference)
    let expected = try #require(run["final"]?.array).compactMap(\.double)
    #expect(final.count == expected.count)
    for (own, other) in zip(final, expected) {
      #expect(abs(own - other) <= 1e-3 * max(1, abs(other)), "\(name): \(own) \(other)")
    }
  }

  private func tokenizer() throws -> any Tokenizer {
    try BPETokenizer(tokenizerJSON: Array(Data(contentsOf: Goldens.url("cli/tokenizer.json"))))
  }
}
