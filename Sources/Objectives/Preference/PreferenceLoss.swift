import Foundation
import Torch

/// The losses of direct preference optimization, under TRL's names.
///
/// With Δ = ln p − ln p of the reference, c the better answer and r the worse one, δ the difference of their scores:
public enum PreferenceLoss: String, Sendable, Hashable, CaseIterable {
  /// −ln σ(βδ). Rafailov et al., arXiv:2305.18290. With label smoothing as Mitchell has it.
  case sigmoid
  /// max(0, 1 − βδ). Zhao et al., arXiv:2305.10425.
  case hinge
  /// (δ per token − 1/2β)². Azar et al., arXiv:2310.12036.
  case ipo
  /// KL of the model's preference to [1 − ε, ε]. Ji et al., arXiv:2402.00856.
  case exoPair = "exo_pair"
  /// Noise-contrastive, with both answers' own likelihoods. Chen et al., arXiv:2402.05369.
  case ncaPair = "nca_pair"
  /// The loss under labels of which a share ε is wrong. Chowdhury et al., arXiv:2403.00409.
  case robust
  /// Binary classification of each answer. Jung et al., arXiv:2404.04656.
  case bcoPair = "bco_pair"
  /// (Δc − 1/2β)² + (Δr + 1/2β)². Wu et al., arXiv:2405.00675.
  case sppoHard = "sppo_hard"
  /// Differences of answers in the order of their size. Melnyk et al., arXiv:2406.05882.
  case aot
  /// The same of answers that are no pairs.
  case aotUnpaired = "aot_unpaired"
  /// The better answer gets likelier, the worse one less. D'Oosterlinck et al., arXiv:2408.06266.
  case apoZero = "apo_zero"
  /// Both get less likely, the worse one more so.
  case apoDown = "apo_down"
  /// A loss that a model found. Lu et al., arXiv:2406.08414.
  case discoPOP = "discopop"
  /// The cross-entropy of the better answers.
  case sft
  /// −ln σ(βδ) with δ per token.
  case sigmoidNorm = "sigmoid_norm"

  /// Whether it is one of score differences, which any divergence can make. Of the others a term of the prompt would be left over.
  public var allowsDivergences: Bool {
    switch self {
    case .sigmoid, .sigmoidNorm, .hinge, .ipo, .exoPair, .robust, .discoPOP, .sft: true
    case .ncaPair, .bcoPair, .sppoHard, .aot, .aotUnpaired, .apoZero, .apoDown: false
    }
  }

  /// The loss of each pair [P].
  func each(_ pairs: AnswerPairs, _ settings: PreferenceSettings) throws(TorchError) -> Tensor {
    let (beta, smoothing) = (settings.beta, settings.labelSmoothing)
    let (chosen, rejected) = try pairs.ratios()
    let scores = (chosen: try settings.divergence.score(chosen), rejected: try settings.divergence.score(rejected))
    let delta = try scores.chosen - scores.rejected
    switch self {
    case .sigmoid: return try smoothed(try delta * beta, smoothing)
    case .hinge: return try (-(delta * beta) + 1).relu()
    case .ipo: return try (perToken(scores, pairs) - 1 / (2 * beta)).pow(2)
    case .exoPair: return try exo(try delta * beta, smoothing)
    case .ncaPair:
      let (c, r) = (try chosen * beta, try rejected * beta)
      return try -(c.logSigmoid()) - (-c).logSigmoid() * 0.5 - (-r).logSigmoid() * 0.5
    case .robust:
      let flipped = try (-(delta * beta)).logSigmoid() * smoothing
      return try (flipped - (delta * beta).logSigmoid() * (1 - smoothing)) / (1 - 2 * smoothing)
    case .bcoPair: return try -((chosen * beta).logSigmoid()) - (-(rejected * beta)).logSigmoid()
    case .sppoHard: return try (chosen - 0.5 / beta).pow(2) + (rejected + 0.5 / beta).pow(2)
    case .aot:
      let own = try (pairs.chosen - pairs.rejected).sorted(0, descending: false).values
      let reference = try (pairs.references.chosen - pairs.references.rejected).sorted(0, descending: false).values
      return try smoothed(try (own - reference) * beta, smoothing)
    case .aotUnpaired:
      let difference = try chosen.sorted(0, descending: false).values - rejected.sorted(0, descending: false).values
      return try smoothed(try difference * beta, smoothing)
    case .apoZero: return try -((chosen * beta).sigmoid()) + 1 + (rejected * beta).sigmoid()
    case .apoDown: return try (chosen * beta).sigmoid() + 1 - ((chosen - rejected) * beta).sigmoid()
    case .discoPOP: return try discovered(try delta * beta, settings.discoPOPTau)
    case .sft: return try -(pairs.chosen) * (Double(pairs.count) / Double(pairs.chosenTokens))
    case .sigmoidNorm: return try -((perToken(scores, pairs) * beta).logSigmoid())
    }
  }

  private func smoothed(_ x: Tensor, _ smoothing: Double) throws(TorchError) -> Tensor {
    let plain = try -(x.logSigmoid())
    return smoothing == 0 ? plain : try plain * (1 - smoothing) - (-x).logSigmoid() * smoothing
  }

  private func perToken(_ scores: (chosen: Tensor, rejected: Tensor), _ pairs: AnswerPairs) throws(TorchError) -> Tensor {
    try scores.chosen / pairs.lengths.chosen - scores.rejected / pairs.lengths.rejected
  }

  private func exo(_ x: Tensor, _ smoothing: Double) throws(TorchError) -> Tensor {
    let (better, worse) = (try x.logSigmoid(), try (-x).logSigmoid())
    return try better.exp() * (better - log(1 - smoothing)) + worse.exp() * (worse - log(smoothing))
  }

  private func discovered(_ x: Tensor, _ tau: Double) throws(TorchError) -> Tensor {
    let share = try (x / tau).sigmoid()
    return try -(x.logSigmoid()) * (-share + 1) + (-x).exp() * share
  }
}

/// What is taken of a ratio of likelihoods as an answer's score: f′ of a divergence. Wang et al., arXiv:2309.16240.
public enum PreferenceDivergence: Sendable, Hashable {
  /// Δ.
  case reverseKL
  /// 1 − e^(−Δ).
  case forwardKL
  /// ln 2 + ln σ(Δ).
  case jensenShannon
  /// (e^((α−1)·Δ) − 1)/(α − 1).
  case alpha(Double)

  func score(_ ratio: Tensor) throws(TorchError) -> Tensor {
    switch self {
    case .reverseKL: return ratio
    case .forwardKL: return try -((-ratio).exp()) + 1
    case .jensenShannon: return try ratio.logSigmoid() + log(2)
    case .alpha(let alpha):
      guard abs(alpha - 1) > 1e-6 else { return ratio }
      // e^80 is the most that float32 holds after a square.
      return try ((ratio * (alpha - 1)).clamp(-Double(Float.greatestFiniteMagnitude), 80).exp() - 1) / (alpha - 1)
    }
  }
}
