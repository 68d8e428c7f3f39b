import Datasets
import NN
import Torch

/// The places of a flat row that predict a trained token, and the tokens they should predict.
///
/// The token at t + 1 is predicted at t, inside one sample only.
public struct TokenTargets: Sendable, Hashable {
  /// Places in the row, ascending.
  public let places: [Int64]
  /// The token each should predict.
  public let tokens: [Int64]
  /// How many of them each sample has, [S].
  public let counts: [Int]

  /// The targets of `batch`.
  public init(_ batch: Batch) {
    var places: [Int64] = []
    var tokens: [Int64] = []
    var counts: [Int] = []
    var start = 0
    for length in batch.segmentLengths {
      let before = places.count
      for place in start..<(start + length - 1) where batch.labels[place + 1] != Batch.ignoredLabel {
        places.append(Int64(place))
        tokens.append(Int64(batch.labels[place + 1]))
      }
      start += length
      counts.append(places.count - before)
    }
    (self.places, self.tokens, self.counts) = (places, tokens, counts)
  }
}

extension CausalLM {
  /// Σ −log p(target) over the targets, in float32. The head sees the rows that predict a target and no others.
  ///
  /// hidden [1, T, d], from a flat row.
  public func negativeLogLikelihood(_ hidden: Tensor, _ targets: TokenTargets, chunk: Int = 256) throws -> Tensor {
    let device = hidden.device
    let places = try Tensor(targets.places).to(device)
    let rows = try hidden.squeezed(0).indexed(0, places)
    let tokens = try Tensor(targets.tokens).to(device)
    if let head = head as? Linear, let numbers = try head.linearWeight(for: rows.dtype) {
      return try rows.linearCrossEntropy(weight: numbers.weight, bias: numbers.bias, targets: tokens, chunk: chunk)
    }
    return try -(try logProbs(of: tokens, after: rows).sum())
  }
}
