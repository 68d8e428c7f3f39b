import Datasets
import NN
import Torch

/// REINFORCE with the mean of the other answers to the prompt as baseline: whole answers become likelier or less so.
/// Ahmadian et al., arXiv:2402.14740.
///
/// With the ratio of whole answers w = Π p/p_old, A the advantage: max(−w·A, −clip(w, 1 − ε, 1 + ε_high)·A) for each answer.
public struct LeaveOneOutPolicy: Objective, Sendable {
  /// How far below 1 a ratio counts, above 0.
  public var epsilon = 0.2
  /// How far above 1 a ratio counts; nil for `epsilon`.
  public var epsilonHigh: Double?
  /// What scores were divided by when answers were drawn.
  public var temperature = 1.0

  /// The objective with TRL's defaults.
  public init() {}

  /// `rloo`.
  public var name: String { "rloo" }
  /// Prompts.
  public var learnsFrom: LearningMaterial { .prompts }
  /// No: the policy that learns is to be the one that answered.
  public var usesDropout: Bool { false }
  /// 1/20: a policy moves in small steps.
  public var rateScale: Double { 0.05 }

  /// Answers.
  public func count(_ batch: Batch) -> Int { batch.segmentLengths.count }

  /// The sum of the losses of all answers.
  public func evaluate(_ batch: Batch, model: any CausalLM) throws -> ObjectiveSum {
    let targets = TokenTargets(batch)
    let hidden = try model.hidden(batch)
    guard !targets.tokens.isEmpty else { return ObjectiveSum(try hidden.to(.float32).sum() * 0) }
    let places = try hidden.squeezed(0).indexed(0, try Tensor(targets.places).to(model.device))
    let tokens = try PolicyTokens(batch, targets, model: model, after: places, temperature: temperature)
    let (losses, ratios) = try each(tokens)
    var figures = Figures()
    figures.addClipping(
      try ratios.numbers(), try tokens.means(tokens.advantages).numbers(), low: 1 - epsilon, high: 1 + (epsilonHigh ?? epsilon))
    figures.add("entropy", try tokens.logProbs.numbers().map { -$0 })
    if let divergence = try tokens.divergence() { figures.add("kl", try divergence.numbers()) }
    return ObjectiveSum(try losses.sum(), figures)
  }

  /// Loss and ratio of each answer [S].
  func each(_ tokens: PolicyTokens) throws(TorchError) -> (losses: Tensor, ratios: Tensor) {
    let ratio = try tokens.sums(tokens.logProbs - tokens.oldLogProbs).exp()
    let advantages = try tokens.means(tokens.advantages)
    let clipped = try ratio.clamp(1 - epsilon, 1 + (epsilonHigh ?? epsilon))
    return (try -((ratio * advantages).minimum(clipped * advantages)), ratio)
  }
}
