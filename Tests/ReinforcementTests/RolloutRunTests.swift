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

/// Runs that learn from what the model itself answers, on a tiny model.
@Suite struct RolloutRunTests {
  /// The share of even tokens: something to learn that any answer tells about.
  private struct EvenTokens: Reward {
    func score(_ completions: [Completion]) -> RewardScores {
      RewardScores(completions.map { Double($0.ids.count { $0 % 2 == 0 }) / Double(max(1, $0.ids.count)) })
    }
  }

  private struct Always: Reward {
    let values: [Double?]
    func score(_ completions: [Completion]) -> RewardScores {
      RewardScores(completions.indices.map { values[$0 % values.count] }, problems: ["a problem"])
    }
  }

  private struct Parts {
    let source: RolloutBatches
    let trainer: Trainer
    let adapter: Adapter
    let head: ValueHead?
  }

  private let prompts = EncodedPrompts(
    (0..<12).map { EncodedPrompt(ids: [5, Int32(6 + $0)], text: "p\($0)", location: SourceLocation(file: "p", line: $0 + 1)) })

  private func settings(_ change: (inout RolloutSettings) -> Void = { _ in }) -> RolloutSettings {
    var settings = RolloutSettings()
    (settings.batchSize, settings.generations, settings.seed) = (4, 4, 7)
    settings.sampling.maxNewTokens = 5
    change(&settings)
    return settings
  }

  private func parts(
    _ settings: RolloutSettings, in folder: URL, steps: Int, rate: Double = 1e-2, saveEvery: Int? = nil,
    reward: any Reward = EvenTokens(), objective: any Objective = GroupRelativePolicy(), accumulation: Int = 1,
    shouldStop: @escaping () -> Bool = { false }, warn: @escaping (String) -> Void = { _ in }
  ) throws -> Parts {
    try RandomState.seed(3)
    let set = try AdapterSet(try TinyModels.load("llama-tied"))
    let adapter = try set.add(LoRAConfiguration())
    var head: ValueHead?
    var objective = objective
    if let proximal = objective as? ProximalPolicy {
      let made = try ValueHead(features: set.model.shape.hiddenSize)
      (head, objective) = (made, ValuedPolicy(proximal.settings, head: made))
    }
    let tokenizer = try BPETokenizer(tokenizerJSON: Array(Data(contentsOf: Goldens.url("cli/tokenizer.json"))))
    let policy = Policy(model: set.model, tokenizer: tokenizer, head: head) { try set.withAdaptersDisabled($0) }
    let source = try RolloutBatches(
      prompts, policy: policy, rewards: RewardSum([.init("even", reward)]), settings: settings, accumulation: accumulation,
      log: RolloutLog(folder: folder), warn: warn)
    var options = TrainingOptions()
    (options.learningRate, options.schedule, options.maxSteps) = (rate, .constant, steps)
    (options.logEvery, options.saveEvery, options.gradientAccumulation) = (1, saveEvery, accumulation)
    let whole = adapter.tunedPart(base: "llama-tied")
    let trainer = try Trainer(
      model: set.model, part: head.map { TunedPolicy(whole, head: $0) } ?? whole, objective: objective, batches: source,
      evalSamples: [], options: options, output: folder, shouldStop: shouldStop)
    return Parts(source: source, trainer: trainer, adapter: adapter, head: head)
  }

  private func numbers(_ parts: Parts) throws -> [[Float]] {
    try (parts.adapter.parameters + (parts.head?.parameters ?? [])).map { try $0.value.detached().array(Float.self) }
  }

  private var proximal: RolloutSettings {
    settings {
      var generalized = AdvantageEstimator.GeneralizedSettings()
      generalized.control = DivergenceControl(beta: 0.05, target: 0.1, horizon: 20)
      ($0.estimator, $0.iterations, $0.generations, $0.sampling.temperature) = (.generalized(generalized), 2, 1, 0.7)
    }
  }

  @Test(arguments: ["grpo", "rloo", "reinforce++", "ppo", "online_dpo"])
  func rewardsRise(name: String) throws {
    let folder = try TemporaryFolder()
    let objective = try #require(Objectives.make(name))
    let settings =
      switch name {
      case "rloo": settings { $0.estimator = .leaveOneOut(beta: 0.01, normalizes: false) }
      case "reinforce++": settings { ($0.estimator, $0.generations) = (.reinforcePlusPlus(beta: 0.01, hasBaseline: false), 1) }
      case "ppo": proximal
      case "online_dpo": settings { ($0.estimator, $0.generations) = (.pairs, 2) }
      default: settings()
      }
    let parts = try parts(
      name == "online_dpo"
        ? settings
        : {
          var more = settings; more.batchSize = 16; return more
        }(), in: folder.url, steps: 30,
      objective: objective)
    let rows = try parts.trainer.run(resuming: false).rows
    let rewards = rows.compactMap { $0.figures?["reward"] }
    let (first, last) = (rewards.prefix(5).reduce(0, +) / 5, rewards.suffix(5).reduce(0, +) / 5)
    #expect(last > first + 0.15, "\(name): \(first) → \(last)")
    // A round that is learnt from twice is reported where it is drawn.
    let figures = try #require(rows.last { $0.figures?["reward"] != nil }?.figures)
    for key in ["reward_std", "rewards/even/mean", "completions/mean_length", "frac_reward_zero_std", "rollout/seconds"] {
      #expect(figures[key] != nil, "\(key)")
    }
    #expect(RolloutLog.rows(in: folder.url, last: 3).count == 3)
  }

  /// A run that is stopped within a round and one that is not end with the same weights, to the bit.
  @Test(arguments: ["grpo", "ppo"])
  func resumeIsExact(name: String) throws {
    let objective = try #require(Objectives.make(name))
    let settings =
      name == "ppo" ? proximal : settings { ($0.batchesPerGeneration, $0.iterations, $0.lossBeta) = (2, 2, 0.1) }
    let (whole, stopped) = (try TemporaryFolder(), try TemporaryFolder())
    let once = try parts(settings, in: whole.url, steps: 7, objective: objective)
    let rows = try once.trainer.run(resuming: false).rows
    // Stopped after three steps: within the second pass over the first round.
    let three = try parts(
      settings, in: stopped.url, steps: 7, saveEvery: 3, objective: objective,
      shouldStop: {
        FileManager.default.fileExists(atPath: stopped.url.appending(path: "checkpoints/step-3").path)
      })
    #expect(throws: TrainingInterrupted.self) { try three.trainer.run(resuming: false) }
    let rest = try parts(settings, in: stopped.url, steps: 7, objective: objective)
    let resumed = try rest.trainer.run(resuming: true).rows
    #expect(try numbers(rest) == numbers(once))
    #expect(resumed.map(\.loss) == rows.map(\.loss))
    #expect(rest.source.beta == once.source.beta)
    if name == "ppo" { #expect(once.source.beta != 0.05) }
    let log = { (folder: TemporaryFolder) in RolloutLog.rows(in: folder.url, last: 1000).map { $0.text() } }
    #expect(log(stopped) == log(whole))
  }

  @Test func aRunThatIsStoppedWhileItAnswersKeepsItsPlace() throws {
    let folder = try TemporaryFolder()
    var calls = 0
    let parts = try parts(
      settings(), in: folder.url, steps: 4,
      shouldStop: {
        calls += 1
        return calls > 4
      })
    #expect(throws: TrainingInterrupted.self) { try parts.trainer.run(resuming: false) }
    #expect(parts.source.samples.isEmpty && parts.source.position.batch == 0)
  }

  @Test func promptsThatTellNothingAreReplaced() throws {
    let folder = try TemporaryFolder()
    var warnings: [String] = []
    let parts = try parts(
      settings { $0.resampling = 2 }, in: folder.url, steps: 2, reward: Always(values: [1]), warn: { warnings.append($0) })
    let figures = try #require(try parts.trainer.run(resuming: false).rows.first?.figures)
    #expect(figures["groups_replaced"] == 2 && figures["frac_reward_zero_std"] == 1)
    // Three prompts a round: one and its two replacements.
    #expect(parts.source.position.batch == 6)
    #expect(warnings.first == "round 1: even: a problem")
  }

  @Test func answersWithoutAScoreAreNotLearntFrom() throws {
    let folder = try TemporaryFolder()
    let parts = try parts(settings(), in: folder.url, steps: 1, reward: Always(values: [nil, 1, 0, nil]))
    let row = try #require(try parts.trainer.run(resuming: false).rows.first)
    #expect(row.figures?["rewards/unscored"] == 0.5 && row.figures?["reward"] == 0.5)
    let advantages = parts.source.samples.compactMap { $0.experience?.advantages.first }
    #expect(advantages[0] == 0 && advantages[3] == 0 && advantages[1] > 0 && advantages[1] == -advantages[2])
  }

  @Test func pairsAreTheBestAndTheWorst() throws {
    let folder = try TemporaryFolder()
    let settings = settings { ($0.estimator, $0.batchSize) = (.pairs, 2) }
    let parts = try parts(
      settings, in: folder.url, steps: 1, reward: Always(values: [2, 5, 1, nil]), objective: OnlinePreference())
    _ = try parts.trainer.run(resuming: false)
    #expect(parts.source.samples.map(\.rank) == [0, 1, 0, 1])
    #expect(parts.source.samples.map(\.index) == [1, 2, 5, 6])
    #expect(parts.source.samples.allSatisfy { ($0.reference ?? 0) < 0 })
  }

  @Test func rewardsThatTellNothingEndARunOfPairs() throws {
    let folder = try TemporaryFolder()
    let settings = settings { ($0.estimator, $0.generations) = (.pairs, 2) }
    let parts = try parts(settings, in: folder.url, steps: 2, reward: Always(values: [1]), objective: OnlinePreference())
    let error = #expect(throws: TrainingError.self) { try parts.trainer.run(resuming: false) }
    #expect(error?.description.contains("nothing to learn") == true)
  }

  @Test func penaltiesAndBounds() throws {
    let folder = try TemporaryFolder()
    let settings = settings { ($0.missingEOSPenalty, $0.rewardRange, $0.sampling.maxNewTokens) = (3, -0.5...2, 2) }
    let parts = try parts(settings, in: folder.url, steps: 1, reward: Always(values: [1]))
    let row = try #require(try parts.trainer.run(resuming: false).rows.first)
    let cut = try #require(row.figures?["completions/clipped_ratio"])
    let reward = try #require(row.figures?["reward"])
    #expect(cut > 0 && abs(reward - (cut * -0.5 + (1 - cut))) < 1e-6)
  }

  @Test func settingsThatDoNotFitAreRefused() throws {
    let folder = try TemporaryFolder()
    for change: (inout RolloutSettings) -> Void in [
      { $0.generations = 3 }, { $0.generations = 1 }, { ($0.batchSize, $0.generations) = (2, 4) },
      { ($0.estimator, $0.generations) = (.pairs, 1) },
    ] {
      #expect(throws: TrainingError.self) { try parts(settings(change), in: folder.url, steps: 1) }
    }
  }

  /// Of each answer the numbers that training starts from are those of the pass that training makes: ratios are 1.
  @Test func oldLogProbsAreThoseOfTheTrainingPass() throws {
    let folder = try TemporaryFolder()
    let settings = settings { $0.iterations = 2 }
    let parts = try parts(settings, in: folder.url, steps: 1)
    let row = try #require(try parts.trainer.run(resuming: false).rows.first)
    let experience = parts.source.samples.compactMap(\.experience)
    #expect(experience.count == 4 && experience.allSatisfy { $0.oldLogProbs.count == $0.advantages.count })
    // With ratios of 1 the loss is −Σ A·tokens/Σ tokens.
    let tokens = experience.reduce(0) { $0 + $1.advantages.count }
    let expected = -experience.reduce(0.0) { $0 + $1.advantages.reduce(0.0) { $0 + Double($1) } } / Double(tokens)
    #expect(abs(try #require(row.loss) - expected) < 1e-6)
  }
}
