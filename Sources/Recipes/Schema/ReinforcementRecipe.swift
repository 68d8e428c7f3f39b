import Generation
import Objectives
import Reinforcement
import Text
import Training

/// What an objective that learns from the model's own answers has besides: how answers are drawn, and what they are worth.
public struct ReinforcementRecipe: Sendable {
  /// How answers are drawn and made use of; batch size, seed and accumulation are those of `train:`.
  public var rollouts = RolloutSettings()
  /// What they are worth.
  public var rewards: [RewardRecipe] = []
  /// Batches that are made of a round of answers; nil for as many as an optimizer step takes.
  public var stepsPerGeneration: Int?

  private static let scales = RewardScale.allCases.map { ($0.rawValue, $0) }

  /// The settings of an objective, which it fills in, too.
  init(_ objective: inout any Objective & Sendable, _ node: RecipeNode) throws(RecipeError) {
    try read(rewards: node)
    switch objective {
    case let policy as GroupRelativePolicy where policy.name == "grpo": objective = try groupRelative(policy, node)
    case let policy as GroupRelativePolicy: objective = try reinforcePlusPlus(policy, node)
    case let policy as LeaveOneOutPolicy: objective = try leaveOneOut(policy, node)
    case let policy as ProximalPolicy: objective = try proximal(policy, node)
    default: try pairs(node)
    }
  }

  private mutating func read(rewards node: RecipeNode) throws(RecipeError) {
    for element in try node.elements("rewards", shorthand: "type") { rewards.append(try RewardRecipe(element)) }
    guard !rewards.isEmpty else {
      throw node.error("rewards", "is missing: say what answers are worth, such as [{type: regex, pattern: …}]")
    }
  }

  /// What all have; `temperature` and `length` are defaults.
  private mutating func read(
    sampling node: RecipeNode, generations: Int, temperature: Double = 1, length: Int = 512
  ) throws(RecipeError) {
    rollouts.generations = try node.int("num_generations", in: 1...4096) ?? generations
    stepsPerGeneration = try node.int("steps_per_generation", in: 1...65536)
    rollouts.sampling.maxNewTokens = try node.int("max_completion_length", in: 1...1 << 20) ?? length
    rollouts.sampling.temperature = try node.double("temperature", in: 1e-3...100) ?? temperature
    rollouts.sampling.topP = try node.double("top_p", in: 1e-6...1) ?? 1
    rollouts.sampling.topK = try node.int("top_k", in: 0...1 << 30) ?? 0
    rollouts.sampling.minP = try node.double("min_p", in: 0...1) ?? 0
    rollouts.sampling.repetitionPenalty = try node.double("repetition_penalty", in: 1e-3...1e3) ?? 1
    rollouts.sampling.stop = try node.strings("stop") ?? []
    rollouts.missingEOSPenalty = try node.double("missing_eos_penalty", in: 0...1e6)
    if let range = try node.doubles("reward_clip_range") {
      guard range.count == 2, range[0] < range[1] else { throw node.error("reward_clip_range", "must be [least, most]") }
      rollouts.rewardRange = range[0]...range[1]
    }
    rollouts.resampling = try node.int("resample_silent_groups", in: 0...100) ?? 0
    rollouts.logged = try node.int("log_completions", in: 0...1 << 20) ?? 8
  }

  private mutating func groupRelative(_ start: GroupRelativePolicy, _ node: RecipeNode) throws(RecipeError) -> GroupRelativePolicy
  {
    var settings = start.settings
    settings.loss = try node.choice("loss_type", PolicySettings.Loss.allCases.map { ($0.rawValue, $0) }) ?? .dapo
    settings.level =
      try node.choice("importance_sampling_level", PolicySettings.Level.allCases.map { ($0.rawValue, $0) }) ?? .token
    settings.delta = try node.double("delta", in: 1...1e6)
    settings.beta = try node.double("beta", in: 0...1e6) ?? 0
    settings.correctsDivergence = try node.bool("use_bias_correction_kl") ?? true
    rollouts.lossBeta = settings.beta
    rollouts.estimator = .group(try node.choice("scale_rewards", Self.scales) ?? .group)
    return try finished(&settings, name: start.name, node, generations: 8)
  }

  private mutating func reinforcePlusPlus(
    _ start: GroupRelativePolicy, _ node: RecipeNode
  ) throws(RecipeError) -> GroupRelativePolicy {
    var settings = start.settings
    let hasBaseline = try node.bool("use_baseline") ?? false
    rollouts.estimator = .reinforcePlusPlus(beta: try node.double("beta", in: 0...1e6) ?? 0.01, hasBaseline: hasBaseline)
    return try finished(&settings, name: start.name, node, generations: hasBaseline ? 8 : 1)
  }

  private mutating func finished(
    _ settings: inout PolicySettings, name: String, _ node: RecipeNode, generations: Int
  ) throws(RecipeError) -> GroupRelativePolicy {
    settings.epsilon = try node.double("epsilon", in: 1e-6...1) ?? settings.epsilon
    settings.epsilonHigh = try node.double("epsilon_high", in: 1e-6...1e6)
    rollouts.iterations = try node.int("num_iterations", in: 1...1000) ?? 1
    rollouts.masksTruncated = try node.bool("mask_truncated_completions") ?? false
    try read(sampling: node, generations: generations)
    settings.maxCompletionLength = rollouts.sampling.maxNewTokens
    settings.temperature = rollouts.sampling.temperature
    return GroupRelativePolicy(settings, name: name)
  }

  private mutating func leaveOneOut(_ start: LeaveOneOutPolicy, _ node: RecipeNode) throws(RecipeError) -> LeaveOneOutPolicy {
    var policy = start
    policy.epsilon = try node.double("epsilon", in: 1e-6...1) ?? policy.epsilon
    policy.epsilonHigh = try node.double("epsilon_high", in: 1e-6...1e6)
    rollouts.estimator = .leaveOneOut(
      beta: try node.double("beta", in: 0...1e6) ?? 0.05, normalizes: try node.bool("normalize_advantages") ?? false)
    rollouts.iterations = try node.int("num_iterations", in: 1...1000) ?? 1
    rollouts.masksTruncated = try node.bool("mask_truncated_completions") ?? false
    try read(sampling: node, generations: 2)
    policy.temperature = rollouts.sampling.temperature
    return policy
  }

  private mutating func proximal(_ start: ProximalPolicy, _ node: RecipeNode) throws(RecipeError) -> ProximalPolicy {
    var policy = start
    policy.settings.clipRange = try node.double("cliprange", in: 1e-6...1) ?? policy.settings.clipRange
    policy.settings.valueClipRange = try node.double("cliprange_value", in: 1e-6...1e6) ?? policy.settings.valueClipRange
    policy.settings.valueWeight = try node.double("vf_coef", in: 0...1e6) ?? policy.settings.valueWeight
    var generalized = AdvantageEstimator.GeneralizedSettings()
    generalized.gamma = try node.double("gamma", in: 0...1) ?? generalized.gamma
    generalized.lambda = try node.double("lam", in: 0...1) ?? generalized.lambda
    generalized.whitensRewards = try node.bool("whiten_rewards") ?? false
    generalized.control = DivergenceControl(
      beta: try node.double("kl_coef", in: 0...1e6) ?? generalized.control.beta,
      target: try node.double("kl_target", in: 1e-6...1e6),
      horizon: try node.double("kl_horizon", in: 1...1e12) ?? generalized.control.horizon)
    rollouts.estimator = .generalized(generalized)
    rollouts.iterations = try node.int("num_ppo_epochs", in: 1...1000) ?? 4
    try read(sampling: node, generations: 1, temperature: policy.settings.temperature, length: 53)
    policy.settings.temperature = rollouts.sampling.temperature
    return policy
  }

  private mutating func pairs(_ node: RecipeNode) throws(RecipeError) {
    rollouts.estimator = .pairs
    try read(sampling: node, generations: 2, temperature: 0.9, length: 64)
  }

  /// The settings of a run whose batches and steps are these.
  ///
  /// - Throws: ``RecipeError`` where they do not fit together.
  func settings(_ train: TrainRecipe) throws(RecipeError) -> RolloutSettings {
    var settings = rollouts
    settings.batchSize = train.batchSize
    settings.batchesPerGeneration = stepsPerGeneration ?? train.options.gradientAccumulation
    settings.seed = train.options.seed
    if let problem = settings.problem { throw RecipeError("objective: \(problem)") }
    return settings
  }

  // MARK: Writing

  /// The settings of an objective as a recipe gives them.
  func lines(_ objective: any Objective) -> [(String, String)] {
    let number = { (value: Double) in JSON.python(value) }
    var lines: [(String, String)] = []
    switch objective {
    case let policy as GroupRelativePolicy:
      lines.append(("epsilon", number(policy.settings.epsilon)))
      if let high = policy.settings.epsilonHigh { lines.append(("epsilon_high", number(high))) }
      if policy.name == "grpo" { lines += groupRelativeLines(policy.settings) }
    case let policy as LeaveOneOutPolicy:
      lines.append(("epsilon", number(policy.epsilon)))
      if let high = policy.epsilonHigh { lines.append(("epsilon_high", number(high))) }
    case let policy as ProximalPolicy:
      lines += [
        ("cliprange", number(policy.settings.clipRange)), ("cliprange_value", number(policy.settings.valueClipRange)),
        ("vf_coef", number(policy.settings.valueWeight)),
      ]
    default: break
    }
    return lines + estimatorLines + samplingLines
  }

  private func groupRelativeLines(_ settings: PolicySettings) -> [(String, String)] {
    let delta = settings.delta.map { [("delta", JSON.python($0))] } ?? []
    return [
      ("loss_type", settings.loss.rawValue), ("importance_sampling_level", settings.level.rawValue),
      ("beta", JSON.python(settings.beta)), ("use_bias_correction_kl", "\(settings.correctsDivergence)"),
    ] + delta
  }

  private var estimatorLines: [(String, String)] {
    let common = [("num_iterations", "\(rollouts.iterations)"), ("mask_truncated_completions", "\(rollouts.masksTruncated)")]
    switch rollouts.estimator {
    case .group(let scale): return [("scale_rewards", scale.rawValue)] + common
    case .leaveOneOut(let beta, let normalizes):
      return [("beta", JSON.python(beta)), ("normalize_advantages", "\(normalizes)")] + common
    case .reinforcePlusPlus(let beta, let hasBaseline):
      return [("beta", JSON.python(beta)), ("use_baseline", "\(hasBaseline)")] + common
    case .generalized(let settings):
      let target = settings.control.target.map { [("kl_target", JSON.python($0))] } ?? []
      return [
        ("kl_coef", JSON.python(settings.control.beta)), ("kl_horizon", JSON.python(settings.control.horizon)),
        ("gamma", JSON.python(settings.gamma)), ("lam", JSON.python(settings.lambda)),
        ("whiten_rewards", "\(settings.whitensRewards)"), ("num_ppo_epochs", "\(rollouts.iterations)"),
      ] + target
    case .pairs: return []
    }
  }

  private var samplingLines: [(String, String)] {
    let sampling = rollouts.sampling
    var lines = [("num_generations", "\(rollouts.generations)")]
    if let steps = stepsPerGeneration { lines.append(("steps_per_generation", "\(steps)")) }
    lines += [
      ("max_completion_length", "\(sampling.maxNewTokens)"), ("temperature", JSON.python(sampling.temperature)),
      ("top_p", JSON.python(sampling.topP)), ("top_k", "\(sampling.topK)"), ("min_p", JSON.python(sampling.minP)),
      ("repetition_penalty", JSON.python(sampling.repetitionPenalty)),
      ("stop", JSON.array(sampling.stop.map(JSON.string)).text(.python)),
    ]
    if let penalty = rollouts.missingEOSPenalty { lines.append(("missing_eos_penalty", JSON.python(penalty))) }
    if let range = rollouts.rewardRange {
      lines.append(("reward_clip_range", "[\(JSON.python(range.lowerBound)), \(JSON.python(range.upperBound))]"))
    }
    lines += [
      ("resample_silent_groups", "\(rollouts.resampling)"), ("log_completions", "\(rollouts.logged)"),
      ("rewards", JSON.array(rewards.map(\.json)).text(.python)),
    ]
    return lines
  }
}
