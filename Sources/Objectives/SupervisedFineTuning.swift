import Datasets
import NN
import Torch

/// Supervised fine-tuning: the cross-entropy of the trained tokens. Ouyang et al., arXiv:2203.02155, step 1.
public struct SupervisedFineTuning: Objective, Sendable {
  /// The one objective of its kind.
  public init() {}

  /// `sft`.
  public var name: String { "sft" }
  /// Texts and answers.
  public var learnsFrom: LearningMaterial { .texts }

  /// The trained tokens that something predicts.
  public func count(_ batch: Batch) -> Int { batch.trainedTokens }

  /// Σ −log p(token | those before it) over the trained tokens.
  public func evaluate(_ batch: Batch, model: any CausalLM) throws -> ObjectiveSum {
    ObjectiveSum(try model.negativeLogLikelihood(try model.hidden(batch), TokenTargets(batch)))
  }
}

extension CausalLM {
  /// What the head takes for a batch: [1, T, d], filled up with rows that nobody looks at.
  public func hidden(_ batch: Batch) throws(TorchError) -> Tensor {
    var input = try ModelInput(
      flat: batch.tokens, positions: batch.positions, segments: batch.segmentLengths, filledTo: 32, device: device)
    input.tasks = batch.sources
    return try hidden(input)
  }
}
