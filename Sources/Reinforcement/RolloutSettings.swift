import Generation
import Objectives

/// How advantages come from what answers are worth.
public enum AdvantageEstimator: Sendable, Hashable {
  /// Beside the other answers to the prompt: GRPO.
  case group(RewardScale)
  /// Beside the mean of the others, less the price of leaving the reference: RLOO.
  case leaveOneOut(beta: Double, normalizes: Bool)
  /// What comes after each token, less the price of leaving the reference, brought to mean 0 and deviation 1 over all tokens;
  /// with a baseline the mean of the group is taken away first: REINFORCE++. Hu et al., arXiv:2501.03262.
  case reinforcePlusPlus(beta: Double, hasBaseline: Bool)
  /// What comes beyond what a head expects: PPO.
  case generalized(GeneralizedSettings)
  /// The best answer against the worst: online DPO.
  case pairs

  /// The settings of generalized advantages, under the names of TRL's last version of PPO.
  public struct GeneralizedSettings: Sendable, Hashable {
    /// How much of what comes later counts, 0 … 1.
    public var gamma = 1.0
    /// How far the estimate looks beyond the head's own word, 0 … 1.
    public var lambda = 0.95
    /// How strongly the policy is held to the reference.
    public var control = DivergenceControl(beta: 0.05)
    /// Whether rewards are brought to deviation 1 first.
    public var whitensRewards = false

    /// The defaults of TRL's last version.
    public init() {}
  }

  /// Whether it wants ln p by a reference.
  func needsReference(lossBeta: Double) -> Bool {
    switch self {
    case .group: lossBeta != 0
    case .leaveOneOut(let beta, _), .reinforcePlusPlus(let beta, _): beta != 0
    case .generalized(let settings): settings.control.beta != 0
    case .pairs: true
    }
  }

  /// Whether it wants ln p by the policy that answers.
  var needsOwn: Bool { if case .group = self { false } else { self != .pairs } }
}

/// How answers are drawn and made use of, under TRL's names where it has one.
public struct RolloutSettings: Sendable, Hashable {
  /// How advantages are estimated.
  public var estimator = AdvantageEstimator.group(.group)
  /// Answers in a batch, `batch_size`; of pairs, pairs.
  public var batchSize = 8
  /// Batches that are made of one round of answers, `steps_per_generation`.
  public var batchesPerGeneration = 1
  /// Times that a round is learnt from, `num_iterations`.
  public var iterations = 1
  /// Answers to a prompt, `num_generations`.
  public var generations = 8
  /// How tokens are drawn. Where it ends answers counts, too.
  public var sampling = SamplingSettings()
  /// How strongly the loss holds the policy to a reference; that it is not 0 asks for one.
  public var lossBeta = 0.0
  /// Whether answers that a limit cut off are not learnt from.
  public var masksTruncated = false
  /// What is taken from the reward of an answer that the model did not end.
  public var missingEOSPenalty: Double?
  /// The least and the most that an answer may be worth.
  public var rewardRange: ClosedRange<Double>?
  /// How often prompts whose answers are all worth the same are replaced by the next ones in the data, at most, in a round.
  public var resampling = 0
  /// Answers of a round that are written to `rollouts.jsonl`.
  public var logged = 8
  /// Where random numbers start.
  public var seed: UInt64 = 42

  /// The defaults of TRL's GRPO.
  public init() {
    sampling.temperature = 1
    sampling.maxNewTokens = 512
  }

  /// Prompts of a round.
  public var promptsPerGeneration: Int {
    estimator == .pairs ? batchSize * batchesPerGeneration : batchSize * batchesPerGeneration / generations
  }

  /// Whether the policy is held to a reference.
  public var needsReference: Bool { estimator.needsReference(lossBeta: lossBeta) }

  /// What does not fit together, in the recipe's words; nil where all does.
  public var problem: String? {
    if estimator == .pairs {
      return generations < 2
        ? "num_generations is \(generations), and a pair takes two answers to each prompt: give 2 or more" : nil
    }
    let needsGroup =
      switch estimator {
      case .group, .leaveOneOut, .reinforcePlusPlus(_, hasBaseline: true): true
      default: false
      }
    if needsGroup, generations < 2 {
      return "num_generations is \(generations), and answers are compared with others to their prompt: give 2 or more"
    }
    guard (batchSize * batchesPerGeneration).isMultiple(of: generations), promptsPerGeneration > 0 else {
      return "batch_size × steps_per_generation is \(batchSize) × \(batchesPerGeneration) answers, which is no multiple of "
        + "num_generations, \(generations)"
    }
    return nil
  }
}
