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
    batches = samples.batches(of: tokens)
  }

  /// The batch with the most tokens; nil where there is nothing to measure.
  public var largestBatch: Batch? { batches.max { $0.tokenCount < $1.tokenCount } }

  /// The mean loss, what it is the mean over, and what is reported beside it; nil where `shouldStop`, asked between batches, was true.
  public func evaluate(
    _ model: any CausalLM, shouldStop: () -> Bool = { false }
  ) throws -> (loss: Double, count: Int, figures: Figures)? {
    let wasTraining = model.isTraining
    model.train(false)
    defer { model.train(wasTraining) }
    var (sum, count, figures) = (0.0, 0, Figures())
    for batch in batches {
      if shouldStop() { return nil }
      let result = try withoutGradients { () throws in try objective.evaluate(batch, model: model) }
      sum += try result.loss.item()
      count += objective.count(batch)
      figures.add(result.figures)
    }
    return (count == 0 ? 0 : sum / Double(count), count, figures)
  }
}

extension [EncodedSample] {
  /// The samples in their order, in batches of about so many tokens, those that belong together in one.
  public func batches(of tokens: Int) -> [Batch] {
    var batches: [Batch] = []
    var chosen: [Int] = []
    var length = 0
    for group in groups {
      let own = self[group].reduce(0) { $0 + $1.ids.count }
      if !chosen.isEmpty, length + own > tokens {
        batches.append(Batch(chosen, of: self))
        (chosen, length) = ([], 0)
      }
      chosen += group
      length += own
    }
    if !chosen.isEmpty { batches.append(Batch(chosen, of: self)) }
    return batches
  }
}
