import Datasets
import NN
import Objectives
import Torch

extension [EncodedSample] {
  /// The samples with what a model as it stands says of their learnt tokens, `EncodedSample.reference`.
  ///
  /// One pass over the data, in batches of about so many tokens; no second model is held in memory while it is trained.
  ///
  /// - Parameters:
  ///   - model: the model that an objective measures against, with the adapters at work that belong to it.
  ///   - tokens: of a batch.
  ///   - shouldStop: asked between batches.
  /// - Returns: nil where `shouldStop` was true.
  /// - Throws: what the model throws.
  public func measured(
    against model: any CausalLM, tokens: Int = 4096, shouldStop: () -> Bool = { false }
  ) throws -> [EncodedSample]? {
    let wasTraining = model.isTraining
    model.train(false)
    defer { model.train(wasTraining) }
    var measured = self
    for batch in batches(of: tokens) {
      if shouldStop() { return nil }
      let values = try withoutGradients { () throws in try SequenceLogProbs(batch, model: model).values() }
      for (index, value) in zip(batch.samples, values) { measured[index].reference = value }
    }
    return measured
  }
}
