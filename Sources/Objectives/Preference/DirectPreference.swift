import Datasets
import NN
import Torch

/// The settings of direct preference optimization, under TRL's names.
public struct PreferenceSettings: Sendable, Hashable {
  /// One of the losses, and how strongly it counts.
  public struct Weighted: Sendable, Hashable {
    /// The loss.
    public var loss: PreferenceLoss
    /// How strongly it counts.
    public var weight: Double

    /// A loss with its weight.
    public init(_ loss: PreferenceLoss, weight: Double = 1) { (self.loss, self.weight) = (loss, weight) }
  }

  /// How strongly the model is held to the reference, above 0.
  public var beta = 0.1
  /// The losses, each with its weight.
  public var losses = [Weighted(.sigmoid)]
  /// The share of labels that are taken to be wrong, 0 ..< 0.5.
  public var labelSmoothing = 0.0
  /// What scores are made of.
  public var divergence = PreferenceDivergence.reverseKL
  /// How sharply DiscoPOP turns from one of its losses to the other.
  public var discoPOPTau = 0.05

  /// TRL's defaults.
  public init() {}
}

/// Direct preference optimization: the model is moved towards the better of two answers, away from the worse one, and held to what
/// it was. Rafailov et al., arXiv:2305.18290.
public struct DirectPreference: Objective, Sendable {
  /// How.
  public let settings: PreferenceSettings

  /// The objective with these settings.
  public init(_ settings: PreferenceSettings = PreferenceSettings()) { self.settings = settings }

  /// `dpo`.
  public var name: String { "dpo" }
  /// Pairs of answers.
  public var learnsFrom: LearningMaterial { .pairs }
  /// Yes.
  public var needsReference: Bool { true }
  /// No: what differs between model and reference is to be what was learnt.
  public var usesDropout: Bool { false }
  /// 1/20: a preference is learnt in small steps.
  public var rateScale: Double { 0.05 }

  /// Pairs.
  public func count(_ batch: Batch) -> Int { batch.pairs.count }

  /// The weighted sum of the losses over the pairs.
  public func evaluate(_ batch: Batch, model: any CausalLM) throws -> ObjectiveSum {
    let pairs = try AnswerPairs(batch, model: model)
    let (chosen, rejected) = try pairs.ratios()
    return ObjectiveSum(
      try loss(pairs), try pairs.figures(rewards: (try chosen * settings.beta, try rejected * settings.beta)))
  }

  /// The weighted sum of the losses over pairs: one number.
  func loss(_ pairs: AnswerPairs) throws(TorchError) -> Tensor {
    var sum = try Tensor.zeros([], device: pairs.chosen.device)
    for part in settings.losses { sum = try sum + part.loss.each(pairs, settings).sum() * part.weight }
    return sum
  }
}
