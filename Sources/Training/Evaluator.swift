import Datasets
import NN
import Objectives
import Torch

/// Measures an objective on held-out data, one batch at a time: no logits are kept.
public struct Evaluator {
  private let batches: [Batch]
  private let objective: any Objective

  /// An evaluation of `samples` in their order, in batches of about `tokens` tokens.
  public init(_ samples: [EncodedSample], objective: any Objective, tokens: Int = 4096) {
    self.objective = objective
    var batches: [Batch] = []
    var chosen: [Int] = []
    var length = 0
    for (index, sample) in samples.enumerated() {
      if !chosen.isEmpty, length + sample.ids.count > tokens {
        batches.append(Batch(chosen, of: samples))
        (chosen, length) = ([], 0)
      }
      chosen.append(index)
      length += sample.ids.count
    }
    if !chosen.isEmpty { batches.append(Batch(chosen, of: samples)) }
    self.batches = batches
  }

  /// The mean loss of the trained tokens, and their number; nil where `shouldStop`, asked between batches, was true.
  public func evaluate(_ model: any CausalLM, shouldStop: () -> Bool = { false }) throws -> (loss: Double, count: Int)? {
    let wasTraining = model.isTraining
    model.train(false)
    defer { model.train(wasTraining) }
    var (sum, count) = (0.0, 0)
    for batch in batches {
      if shouldStop() { return nil }
      sum += try withoutGradients { () throws in try objective.lossSum(batch, model: model).item() }
      count += objective.count(batch)
    }
    return (count == 0 ? 0 : sum / Double(count), count)
  }
}
