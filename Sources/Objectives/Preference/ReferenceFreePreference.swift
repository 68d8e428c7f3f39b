import Datasets
import NN
import Torch

/// Preference objectives that measure against no other model.
///
/// With l the sum of an answer's log-probabilities and m their mean, c the better answer and r the worse one:
public struct ReferenceFreePreference: Objective, Sendable {
  /// Which.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// −ln σ(β(l_c − l_r)) + α·cross-entropy of c. Xu et al., arXiv:2401.08417.
    case cpo
    /// −ln σ(β(m_c − m_r) − γ). Meng et al., arXiv:2405.14734.
    case simpo
    /// Cross-entropy of c − β·ln σ(ln odds of c − ln odds of r), odds of means. Hong et al., arXiv:2403.07691.
    case orpo
  }

  /// Which.
  public let kind: Kind
  /// How strongly the difference counts, above 0.
  public var beta: Double
  /// How strongly the cross-entropy of the better answers counts; of CPO.
  public var alpha = 1.0
  /// The margin that is asked for; of SimPO.
  public var gamma = 0.5
  /// The share of labels that are taken to be wrong, 0 ..< 0.5; not of ORPO.
  public var labelSmoothing = 0.0

  /// The objective with TRL's defaults; β of SimPO is the paper's 2.
  public init(_ kind: Kind) { (self.kind, beta) = (kind, kind == .simpo ? 2 : 0.1) }

  /// `cpo`, `simpo`, `orpo`.
  public var name: String { kind.rawValue }
  /// Pairs of answers.
  public var learnsFrom: LearningMaterial { .pairs }
  /// No.
  public var usesDropout: Bool { false }
  /// 1/20: a preference is learnt in small steps.
  public var rateScale: Double { 0.05 }

  /// Pairs.
  public func count(_ batch: Batch) -> Int { batch.pairs.count }

  /// The sum of the losses over the pairs.
  public func evaluate(_ batch: Batch, model: any CausalLM) throws -> ObjectiveSum {
    let pairs = try AnswerPairs(batch, model: model)
    let scores = try scores(pairs)
    return ObjectiveSum(
      try loss(pairs), try pairs.figures(rewards: (try scores.chosen * beta, try scores.rejected * beta)))
  }

  /// What is compared: sums or means.
  private func scores(_ pairs: AnswerPairs) throws(TorchError) -> (chosen: Tensor, rejected: Tensor) {
    guard kind != .cpo else { return (pairs.chosen, pairs.rejected) }
    return (try pairs.chosen / pairs.lengths.chosen, try pairs.rejected / pairs.lengths.rejected)
  }

  /// The sum of the losses over pairs: one number.
  func loss(_ pairs: AnswerPairs) throws(TorchError) -> Tensor {
    let (chosen, rejected) = try scores(pairs)
    let crossEntropy = try -(pairs.chosen.sum()) * (Double(pairs.count) / Double(pairs.chosenTokens))
    switch kind {
    case .orpo:
      let odds = try Self.logOdds(chosen) - Self.logOdds(rejected)
      return try crossEntropy - odds.logSigmoid().sum() * beta
    case .cpo: return try compared(try (chosen - rejected) * beta) + crossEntropy * alpha
    case .simpo: return try compared(try (chosen - rejected) * beta - gamma)
    }
  }

  private func compared(_ x: Tensor) throws(TorchError) -> Tensor {
    let plain = try -(x.logSigmoid().sum())
    return labelSmoothing == 0 ? plain : try plain * (1 - labelSmoothing) - (-x).logSigmoid().sum() * labelSmoothing
  }

  /// ln(p/(1 − p)) of ln p: −ln(e^(−ln p) − 1).
  private static func logOdds(_ logProb: Tensor) throws(TorchError) -> Tensor { try -((-logProb).expm1().log()) }
}
