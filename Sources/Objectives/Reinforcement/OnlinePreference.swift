import Datasets
import NN
import Torch

/// Direct preference optimization of pairs that the model itself answers in the course of the run; rewards say which answer is the
/// better one. Guo et al., arXiv:2402.04792.
public struct OnlinePreference: Objective, Sendable {
  private let preference: DirectPreference

  /// The objective with these settings.
  public init(_ settings: PreferenceSettings = PreferenceSettings()) { preference = DirectPreference(settings) }

  /// How.
  public var settings: PreferenceSettings { preference.settings }
  /// `online_dpo`.
  public var name: String { "online_dpo" }
  /// Prompts.
  public var learnsFrom: LearningMaterial { .prompts }
  /// No: what differs between model and reference is to be what was learnt.
  public var usesDropout: Bool { false }
  /// 1/20: a preference is learnt in small steps.
  public var rateScale: Double { 0.05 }
  /// Pairs.
  public func count(_ batch: Batch) -> Int { preference.count(batch) }
  /// The weighted sum of the losses over the pairs.
  public func evaluate(_ batch: Batch, model: any CausalLM) throws -> ObjectiveSum {
    try preference.evaluate(batch, model: model)
  }
}
