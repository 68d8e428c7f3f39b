import Datasets
import NN
import Torch

/// What a model says of the learnt tokens of each sample of a batch.
public struct SequenceLogProbs {
  /// Σ ln p of the learnt tokens of each sample, float32, each with a gradient of its own.
  public let sums: [Tensor]
  /// How many tokens those are.
  public let counts: [Int]

  /// The log-probabilities of `batch`, in one pass.
  ///
  /// - Throws: what the model throws.
  public init(_ batch: Batch, model: any CausalLM) throws {
    let targets = TokenTargets(batch)
    let hidden = try model.hidden(batch).squeezed(0).indexed(0, try Tensor(targets.places).to(model.device))
    let each = try model.logProbs(of: try Tensor(targets.tokens).to(model.device), after: hidden)
    sums = try each.split(0, targets.counts).map { try $0.sum() }
    counts = targets.counts
  }

  /// The sums as numbers.
  public func values() throws(TorchError) -> [Double] { try sums.map { (sum) throws(TorchError) in try sum.item() } }
}
