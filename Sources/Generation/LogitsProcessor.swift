import Foundation
import Torch

/// A change of the scores that tokens are drawn by, with the results of transformers' classes of the same names.
///
/// Each takes scores [B, V] float32 and gives new ones; a token that is ruled out scores −∞.
public enum LogitsProcessor: Sendable, Hashable {
  /// Positive scores of tokens seen before are divided by the penalty, negative ones multiplied. Keskar et al., arXiv:1909.05858.
  case repetitionPenalty(Double)
  /// Scores divided by the temperature.
  case temperature(Double)
  /// Keeps what scores at least as high as the k-th highest. Fan et al., arXiv:1805.04833.
  case topK(Int)
  /// Keeps the fewest of the likeliest tokens that have this probability together, and what scores the same as the last of them.
  /// Holtzman et al., arXiv:1904.09751.
  case topP(Double)
  /// Keeps what is at least this likely in proportion to the likeliest. Nguyen et al., arXiv:2407.01082.
  case minP(Double)

  /// The changed scores.
  ///
  /// - Parameters:
  ///   - logits: [B, V] float32.
  ///   - history: tokens seen in each row [B, L] int64, repeats allowed; only the repetition penalty looks at it.
  public func callAsFunction(_ logits: Tensor, history: Tensor? = nil) throws(TorchError) -> Tensor {
    switch self {
    case .repetitionPenalty(let penalty):
      guard let history else { return logits }
      let seen = try logits.gathered(-1, history)
      let penalized = try Tensor.choose(try seen .< 0, try seen * penalty, try seen / penalty)
      return try logits.scattered(-1, history, penalized)
    case .temperature(let temperature): return try logits / temperature
    case .topK(let count):
      let count = min(count, try logits.size(-1))
      return try logits.keeping(from: try logits.top(count).values.narrowed(-1, count - 1..<count))
    case .topP(let share): return try logits.keeping(from: try Self.leastKept(logits, share: share))
    case .minP(let share):
      // p ≥ share·p_max, in logarithms.
      return try logits.keeping(from: try logits.max(-1, keep: true) + log(share))
    }
  }

  /// The score [B, 1] of the last token that top-p keeps in each row.
  private static func leastKept(_ logits: Tensor, share: Double) throws(TorchError) -> Tensor {
    let vocabulary = try logits.size(-1)
    let total = try logits.logSumExp(-1, keep: true)
    // Almost always the kept tokens are few, and finding those costs less than sorting a whole vocabulary.
    for count in [min(1024, vocabulary), vocabulary] {
      let best = try logits.top(count).values
      let reached = try (try best - total).exp().cumulativeSum()
      let isEnough = try (try reached.narrowed(-1, count - 1..<count) .>= share).all()
      guard isEnough || count == vocabulary else { continue }
      // A token is kept where those before it do not reach the share: as many as are below it, and one more.
      let last = try (try reached .< share).sum(-1, keep: true).clamp(0, Double(count - 1)).to(.int64)
      return try best.gathered(-1, last)
    }
    return try logits.min(-1, keep: true)
  }
}

extension Tensor {
  /// The scores with −∞ for those below the row's `limit` [B, 1].
  fileprivate func keeping(from limit: Tensor) throws(TorchError) -> Tensor {
    try masked(by: try self .< limit, fill: -.infinity)
  }
}

extension SamplingSettings {
  /// What changes the scores, in transformers' order. Where the choice is greedy, only the penalty can change it.
  public var processors: [LogitsProcessor] {
    var processors: [LogitsProcessor] = []
    if repetitionPenalty != 1 { processors.append(.repetitionPenalty(repetitionPenalty)) }
    if isGreedy { return processors }
    if temperature != 1 { processors.append(.temperature(temperature)) }
    if topK > 0 { processors.append(.topK(topK)) }
    if topP < 1 { processors.append(.topP(topP)) }
    if minP > 0 { processors.append(.minP(minP)) }
    return processors
  }
}
