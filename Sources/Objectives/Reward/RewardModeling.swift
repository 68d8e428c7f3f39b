import Datasets
import NN
import Torch

/// Reward modelling: of two answers the better one is to have the higher score, read from the place of its last token.
///
/// With r_c and r_r the scores of the better and the worse answer, m the margin that the data ask for (0 where they ask for none) and c
/// the coefficient of centring, the loss of a pair is
///
///     −ln σ(r_c − r_r − m) + c·(r_c + r_r)²
///
/// Bradley and Terry 1952; Ouyang et al., arXiv:2203.02155, step 2; margins: Touvron et al., arXiv:2307.09288; centring: Eisenstein et
/// al., arXiv:2312.09244.
public struct RewardModeling: Objective, Sendable {
  /// How strongly scores are held around 0; nil for not at all.
  public var centerRewardsCoefficient: Double?

  /// TRL's defaults.
  public init() {}

  /// `reward`.
  public var name: String { "reward" }
  /// Pairs of answers.
  public var learnsFrom: LearningMaterial { .pairs }
  /// One score for a text.
  public var scoreHead: ScoreHeadShape? { .reward }
  /// No: both answers of a pair are to be scored alike.
  public var usesDropout: Bool { false }
  /// 1/2, which is TRL's 1e-4 with LoRA.
  public var rateScale: Double { 0.5 }

  /// Pairs.
  public func count(_ batch: Batch) -> Int { batch.pairs.count }

  /// The sum of the losses over the pairs.
  public func evaluate(_ batch: Batch, model: any CausalLM) throws -> ObjectiveSum {
    let (each, pairs) = (try model.scores(ofSamples: batch).squeezed(1), batch.pairs)
    func scores(_ places: [Int]) throws(TorchError) -> Tensor {
      try each.indexed(0, try Tensor(places.map(Int64.init)).to(each.device))
    }
    let (chosen, rejected) = (try scores(pairs.map(\.better)), try scores(pairs.map(\.worse)))
    let margins = try Tensor(pairs.map { Float(batch.margin(of: $0)) }).to(each.device)
    return ObjectiveSum(
      try losses(chosen, rejected, margins: margins).sum(), try figures(chosen.detached(), rejected.detached()))
  }

  /// The loss of each pair [P], of scores and margins [P].
  func losses(_ chosen: Tensor, _ rejected: Tensor, margins: Tensor) throws(TorchError) -> Tensor {
    let plain = try -((chosen - rejected - margins).logSigmoid())
    guard let centerRewardsCoefficient else { return plain }
    return try plain + (chosen + rejected).pow(2) * centerRewardsCoefficient
  }

  private func figures(_ chosen: Tensor, _ rejected: Tensor) throws(TorchError) -> Figures {
    let (better, worse) = (try chosen.array(Float.self).map(Double.init), try rejected.array(Float.self).map(Double.init))
    var figures = Figures()
    figures.add("accuracy", zip(better, worse).map { $0 > $1 ? 1 : 0 })
    figures.add("margin", zip(better, worse).map { $0 - $1 })
    figures.add("mean_reward", better + worse)
    return figures
  }
}

extension CausalLM {
  /// What the score head says of each sample of a batch, at its last token: [S, labels] float32.
  public func scores(ofSamples batch: Batch) throws(TorchError) -> Tensor {
    var (places, end) = ([Int64](), 0)
    for length in batch.segmentLengths {
      end += length
      places.append(Int64(end - 1))
    }
    return try scores(try hidden(batch).squeezed(0).indexed(0, try Tensor(places).to(device)))
  }
}
