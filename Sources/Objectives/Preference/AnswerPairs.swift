import Datasets
import NN
import Torch

/// What a model says of pairs of answers, the better one first, and what the model says that it is measured against.
///
/// With P pairs all tensors are [P] float32: those of the model have gradients.
struct AnswerPairs {
  /// Σ ln p of the better answers.
  let chosen: Tensor
  /// Σ ln p of the worse answers.
  let rejected: Tensor
  /// The same by the model that is measured against; zeros where there is none.
  let references: (chosen: Tensor, rejected: Tensor)
  /// Tokens of each answer.
  let lengths: (chosen: Tensor, rejected: Tensor)
  /// Tokens of the better answers together.
  let chosenTokens: Int

  /// The pairs of a batch.
  ///
  /// - Throws: what the model throws.
  init(_ batch: Batch, model: any CausalLM) throws {
    let each = try SequenceLogProbs(batch, model: model)
    let (better, worse) = (batch.pairs.map(\.better), batch.pairs.map(\.worse))
    let numbers = { (values: [Double]) in try Tensor(values.map(Float.init)).to(model.device) }
    try self.init(
      chosen: .stacked(better.map { each.sums[$0] }), rejected: .stacked(worse.map { each.sums[$0] }),
      references: (
        numbers(better.map { batch.references[$0] ?? 0 }), numbers(worse.map { batch.references[$0] ?? 0 })
      ),
      lengths: (numbers(better.map { Double(each.counts[$0]) }), numbers(worse.map { Double(each.counts[$0]) })),
      chosenTokens: better.reduce(0) { $0 + each.counts[$1] })
  }

  init(
    chosen: Tensor, rejected: Tensor, references: (chosen: Tensor, rejected: Tensor),
    lengths: (chosen: Tensor, rejected: Tensor), chosenTokens: Int
  ) {
    (self.chosen, self.rejected, self.references) = (chosen, rejected, references)
    (self.lengths, self.chosenTokens) = (lengths, chosenTokens)
  }

  /// P.
  var count: Int { chosen.shape[0] }

  /// Δ = ln p − ln p of the model that is measured against.
  func ratios() throws(TorchError) -> (chosen: Tensor, rejected: Tensor) {
    (try chosen - references.chosen, try rejected - references.rejected)
  }

  /// What is reported of pairs whose rewards are these.
  func figures(rewards: (chosen: Tensor, rejected: Tensor)) throws(TorchError) -> Figures {
    func numbers(_ tensor: Tensor) throws(TorchError) -> [Double] { try tensor.detached().array(Float.self).map(Double.init) }
    let (better, worse) = (try numbers(rewards.chosen), try numbers(rewards.rejected))
    var figures = Figures()
    figures.add("rewards/chosen", better)
    figures.add("rewards/rejected", worse)
    figures.add("rewards/margins", zip(better, worse).map { $0 - $1 })
    figures.add("rewards/accuracies", zip(better, worse).map { $0 > $1 ? 1 : 0 })
    figures.add("logps/chosen", try numbers(chosen))
    figures.add("logps/rejected", try numbers(rejected))
    return figures
  }
}
