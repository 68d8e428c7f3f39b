import Datasets
import NN
import Torch

/// Supervised fine-tuning: the cross-entropy of the trained tokens. Ouyang et al., arXiv:2203.02155, step 1.
public struct SupervisedFineTuning: Objective {
  /// The one objective of its kind.
  public init() {}

  /// `sft`.
  public var name: String { "sft" }

  /// The trained tokens that something predicts.
  public func count(_ batch: Batch) -> Int { batch.trainedTokens }

  /// Σ −log p(token | those before it) over the trained tokens.
  public func lossSum(_ batch: Batch, model: any CausalLM) throws -> Tensor {
    var input = try ModelInput(
      flat: batch.tokens, positions: batch.positions, segments: batch.segmentLengths, filledTo: 32,
      device: model.device)
    input.tasks = batch.sources
    return try model.negativeLogLikelihood(try model.hidden(input), TokenTargets(batch))
  }
}
