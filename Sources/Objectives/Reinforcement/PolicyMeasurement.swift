import Datasets
import NN
import Torch

/// What a policy says of the learnt tokens of answers, as plain numbers, and what is expected of them.
public struct PolicyMeasurement: Sendable, Hashable {
  /// ln p of each learnt token of each answer.
  public var logProbs: [[Float]]
  /// The value of each; empty where there is no head.
  public var values: [[Float]]

  /// Measures the answers of a batch in one pass, without gradients, along the way that training takes.
  ///
  /// - Parameters:
  ///   - batch: prompts with their answers.
  ///   - model: the policy.
  ///   - temperature: what scores are divided by.
  ///   - head: what says the values.
  /// - Throws: what the model throws.
  public init(_ batch: Batch, model: any CausalLM, temperature: Double, head: ValueHead? = nil) throws {
    let targets = TokenTargets(batch)
    let (all, values) = try withoutGradients { () throws -> ([Float], [Float]) in
      guard !targets.tokens.isEmpty else { return ([], []) }
      let hidden = try model.hidden(batch).squeezed(0).indexed(0, try Tensor(targets.places).to(model.device))
      let tokens = try Tensor(targets.tokens).to(model.device)
      return (
        try model.logProbs(of: tokens, after: hidden, temperature: temperature).array(Float.self),
        try head?.values(hidden).array(Float.self) ?? []
      )
    }
    logProbs = Self.parted(all, targets.counts)
    self.values = head == nil ? [] : Self.parted(values, targets.counts)
  }

  private static func parted(_ numbers: [Float], _ counts: [Int]) -> [[Float]] {
    var start = 0
    return counts.map { count in
      defer { start += count }
      return Array(numbers[start..<start + count])
    }
  }
}
