import Datasets
import NN
import Torch

/// The settings of group-relative policy optimization, under TRL's names.
public struct PolicySettings: Sendable, Hashable {
  /// What the losses of tokens are divided by, or for `cispo` how ratios are bounded.
  public enum Loss: String, Sendable, Hashable, CaseIterable {
    /// The mean over the tokens of each answer, then over answers. Shao et al., arXiv:2402.03300.
    case grpo
    /// The mean over the tokens of each batch, then over batches.
    case bnpo
    /// The sum over tokens by the longest answer allowed, then the mean over answers. Liu et al., arXiv:2503.20783.
    case drGRPO = "dr_grpo"
    /// The mean over all tokens of the step. Yu et al., arXiv:2503.14476.
    case dapo
    /// As `dapo`, of −min(ratio, ε_high)·A·ln p, the ratio without a gradient. MiniMax, arXiv:2506.13585.
    case cispo
  }

  /// What the ratio of new to old policy is taken of.
  public enum Level: String, Sendable, Hashable, CaseIterable {
    /// Each token.
    case token
    /// The whole answer, as its tokens' geometric mean: GSPO. Zheng et al., arXiv:2507.18071.
    case sequence
  }

  /// Which loss.
  public var loss = Loss.dapo
  /// What ratios are taken of.
  public var level = Level.token
  /// How far below 1 a ratio counts, above 0.
  public var epsilon = 0.2
  /// How far above 1 a ratio counts; of `cispo` the highest ratio. Nil for `epsilon`, of `cispo` for 5.
  public var epsilonHigh: Double?
  /// The highest ratio that counts at all, against answers that have become likely and are bad; nil for none.
  public var delta: Double?
  /// How strongly the policy is held to the reference in the loss, from 0.
  public var beta = 0.0
  /// Whether that divergence is weighted with the ratio, so that its gradient is right for answers of an older policy.
  public var correctsDivergence = true
  /// The most tokens of an answer; `dr_grpo` divides by it.
  public var maxCompletionLength = 512
  /// What scores were divided by when answers were drawn.
  public var temperature = 1.0

  /// TRL's defaults.
  public init() {}

  var upper: Double { epsilonHigh ?? (loss == .cispo ? 5 : epsilon) }
}

/// Group-relative policy optimization: what answers to one prompt are worth beside one another makes their tokens likelier or less
/// so, by a ratio that is kept near 1. Shao et al., arXiv:2402.03300.
///
/// With ratio w = p/p_old, A the advantage: max(−w·A, −clip(w, 1 − ε, 1 + ε_high)·A) + β·divergence at each token.
public struct GroupRelativePolicy: Objective, Sendable {
  /// How.
  public var settings: PolicySettings
  /// `grpo`; `reinforce++` where advantages are estimated in that way.
  public let name: String

  /// The objective with these settings.
  public init(_ settings: PolicySettings = PolicySettings(), name: String = "grpo") {
    (self.settings, self.name) = (settings, name)
  }

  /// Prompts.
  public var learnsFrom: LearningMaterial { .prompts }
  /// No: the policy that learns is to be the one that answered.
  public var usesDropout: Bool { false }
  /// 1/20: a policy moves in small steps.
  public var rateScale: Double { 0.05 }

  /// Answers, tokens or batches, whichever the loss is the mean of.
  public func count(_ batch: Batch) -> Int {
    switch settings.loss {
    case .grpo, .drGRPO: batch.segmentLengths.count
    case .bnpo: 1
    case .dapo, .cispo: batch.trainedTokens
    }
  }

  /// The sum of the losses of all tokens, weighted as the loss asks.
  public func evaluate(_ batch: Batch, model: any CausalLM) throws -> ObjectiveSum {
    let targets = TokenTargets(batch)
    let hidden = try model.hidden(batch)
    guard !targets.tokens.isEmpty else { return ObjectiveSum(try hidden.to(.float32).sum() * 0) }
    let places = try hidden.squeezed(0).indexed(0, try Tensor(targets.places).to(model.device))
    let tokens = try PolicyTokens(batch, targets, model: model, after: places, temperature: settings.temperature)
    let parts = try parts(tokens)
    return ObjectiveSum(try sum(parts.loss, tokens), try figures(parts, tokens))
  }

  /// What a loss is made of, at each token [N].
  struct Parts {
    let loss: Tensor
    let ratio: Tensor
    let divergence: Tensor?
  }

  func parts(_ tokens: PolicyTokens) throws(TorchError) -> Parts {
    let difference = try tokens.logProbs - tokens.oldLogProbs
    let logRatio = settings.level == .token ? difference : try tokens.spread(tokens.means(difference))
    let ratio = try logRatio.exp()
    var loss: Tensor
    if settings.loss == .cispo {
      loss = try -(ratio.clamp(0, settings.upper).detached() * tokens.advantages * tokens.logProbs)
    } else {
      let bounded = settings.delta.map { delta in (0.0, delta) }
      let free = if let bounded { try ratio.clamp(bounded.0, bounded.1) } else { ratio }
      let clipped = try ratio.clamp(1 - settings.epsilon, 1 + settings.upper)
      loss = try -((free * tokens.advantages).minimum(clipped * tokens.advantages))
    }
    var divergence = try tokens.divergence()
    if let own = divergence, settings.beta != 0 {
      let weighted = settings.correctsDivergence ? try own * ratio : own
      divergence = weighted
      loss = try loss + weighted * settings.beta
    }
    return Parts(loss: loss, ratio: ratio, divergence: divergence)
  }

  func sum(_ losses: Tensor, _ tokens: PolicyTokens) throws(TorchError) -> Tensor {
    switch settings.loss {
    case .grpo: try tokens.means(losses).sum()
    case .bnpo: try losses.mean()
    case .drGRPO: try losses.sum() / Double(settings.maxCompletionLength)
    case .dapo, .cispo: try losses.sum()
    }
  }

  private func figures(_ parts: Parts, _ tokens: PolicyTokens) throws(TorchError) -> Figures {
    var figures = Figures()
    let each = { (x: Tensor) throws(TorchError) -> [Double] in
      try (settings.level == .sequence ? tokens.means(x) : x).numbers()
    }
    let (ratios, advantages) = (try each(parts.ratio), try each(tokens.advantages))
    figures.addClipping(
      ratios, advantages, low: settings.loss == .cispo ? nil : 1 - settings.epsilon,
      high: settings.loss == .cispo ? settings.upper : 1 + settings.upper)
    figures.add("entropy", try tokens.logProbs.numbers().map { -$0 })
    if let divergence = parts.divergence { figures.add("kl", try divergence.numbers()) }
    return figures
  }
}

extension Figures {
  /// The shares of ratios that are bounded, so that their tokens are not learnt: under `clip_ratio`.
  mutating func addClipping(_ ratios: [Double], _ advantages: [Double], low: Double?, high: Double) {
    let isLow = zip(ratios, advantages).map { ratio, advantage in low.map { ratio < $0 && advantage < 0 } ?? false }
    let isHigh = zip(ratios, advantages).map { $0 > high && $1 > 0 }
    if low != nil { add("clip_ratio/low_mean", isLow.map { $0 ? 1 : 0 }) }
    add("clip_ratio/high_mean", isHigh.map { $0 ? 1 : 0 })
    add("clip_ratio/region_mean", zip(isLow, isHigh).map { $0 || $1 ? 1 : 0 })
  }
}
