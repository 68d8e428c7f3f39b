import Foundation
import NN
import Torch

/// Loss over tokens: Σ −ln p(token | those before it).
public struct LossSummary: Sendable, Hashable, Codable {
  /// The sum, in nats.
  public var total: Double
  /// Tokens it is over.
  public var tokens: Int

  /// A sum over `tokens` tokens.
  public init(total: Double = 0, tokens: Int = 0) {
    self.total = total
    self.tokens = tokens
  }

  /// Nats a token; not a number where there are none.
  public var mean: Double { total / Double(tokens) }
  /// e to the mean.
  public var perplexity: Double { exp(mean) }
}

/// Scores given tokens: ln p(token i | tokens before it).
///
/// Rows go through the model end to end, without padding, and scores of the vocabulary exist for a few tokens at a time: memory
/// does not grow with the number of rows.
public struct Scorer {
  /// The model.
  public let model: any CausalLM
  /// Tokens that pass through the model at once, from 1; a longer row passes alone.
  public var tokensPerPass = 4096
  /// Told before each pass which rows it is made of, by their index; nil where all are treated alike.
  public var routing: (any RowRouting)?

  /// A scorer for `model`.
  public init(_ model: any CausalLM) { self.model = model }

  /// ln p(token i | tokens < i) for each token of each row; nil for the first, which nothing predicts.
  ///
  /// - Throws: ``GenerationError`` for a row with unknown tokens or more than the context holds; `TorchError`.
  public func logProbs(_ rows: [[Int32]]) throws -> [[Float?]] {
    let filled = rows.indices.filter { !rows[$0].isEmpty }
    let wanted = filled.map { Array(1..<max(1, rows[$0].count)) }
    let scores = try score(filled.map { rows[$0] }, wanted: wanted, requests: filled)
    var result: [[Float?]] = Array(repeating: [], count: rows.count)
    for (row, scores) in zip(filled, scores) { result[row] = [nil] + scores }
    return result
  }

  /// The loss over the tokens of `samples` that `trained` marks; a sample's first token, which nothing predicts, never counts.
  ///
  /// - Throws: ``GenerationError`` for a sample with unknown tokens or more than the context holds, or whose two lists differ in
  ///   length; `TorchError`.
  public func loss(_ samples: [(ids: [Int32], trained: [Bool])]) throws -> LossSummary {
    for (index, sample) in samples.enumerated() where sample.ids.count != sample.trained.count {
      throw GenerationError.row(index, problem: "has \(sample.ids.count) tokens and \(sample.trained.count) marks")
    }
    let wanted = samples.map { sample in sample.trained.indices.filter { $0 > 0 && sample.trained[$0] } }
    let used = samples.indices.filter { !wanted[$0].isEmpty }
    let scores = try score(used.map { samples[$0].ids }, wanted: used.map { wanted[$0] }, requests: used)
    return scores.reduce(into: LossSummary()) { summary, scores in
      summary.total -= scores.reduce(0) { $0 + Double($1) }
      summary.tokens += scores.count
    }
  }

  /// ln p of the tokens at the places `wanted` (from 1) of each row.
  public func score(_ rows: [[Int32]], wanted: [[Int]]) throws -> [[Float]] {
    try score(rows, wanted: wanted, requests: Array(rows.indices))
  }

  private func score(_ rows: [[Int32]], wanted: [[Int]], requests: [Int]) throws -> [[Float]] {
    try passes(rows, requests: requests) { part throws(TorchError) in try pass(rows[part], wanted: wanted[part]) }
  }

  /// What `pass` gives for each row, of as many rows at a time as pass through the model together.
  ///
  /// - Throws: ``GenerationError`` for a row that the model cannot take; what `pass` throws.
  func passes(
    _ rows: [[Int32]], requests: [Int], _ pass: (Range<Int>) throws(TorchError) -> [[Float]]
  ) throws -> [[Float]] {
    for (index, row) in rows.enumerated() {
      let virtual = routing?.virtualTokens(of: requests[index]) ?? model.prompts.count
      try model.check(row, index: index, limit: model.tokenLimit(behind: virtual), virtual: virtual)
    }
    return try model.inference {
      var scores: [[Float]] = []
      var start = 0
      while start < rows.count {
        var end = start + 1
        var tokens = rows[start].count
        while end < rows.count, tokens + rows[end].count <= tokensPerPass {
          tokens += rows[end].count
          end += 1
        }
        RoutedRequests(Array(requests[start..<end]), through: routing).route(counts: rows[start..<end].map(\.count))
        scores += try pass(start..<end)
        start = end
      }
      return scores
    }
  }

  /// The scores of rows that go through the model together.
  private func pass(_ rows: ArraySlice<[Int32]>, wanted: ArraySlice<[Int]>) throws(TorchError) -> [[Float]] {
    var sources: [Int64] = []
    var targets: [Int64] = []
    var offset = 0
    for (row, places) in zip(rows, wanted) {
      sources += places.map { Int64(offset + $0 - 1) }
      targets += places.map { Int64(row[$0]) }
      offset += row.count
    }
    guard !sources.isEmpty else { return wanted.map { _ in [] } }
    let hidden = try hidden(rows, at: sources)
    let flat = try model.logProbs(of: targets, after: hidden)
    var place = 0
    return wanted.map { places in
      defer { place += places.count }
      return Array(flat[place..<place + places.count])
    }
  }

  /// What the head takes at the given places of rows laid end to end: [places, d].
  func hidden(_ rows: ArraySlice<[Int32]>, at places: [Int64]) throws(TorchError) -> Tensor {
    let input = try ModelInput(
      flat: rows.flatMap { $0 }, positions: rows.flatMap { 0..<Int32($0.count) }, segments: rows.map(\.count),
      device: model.device)
    return try model.hidden(input).squeezed(0).indexed(0, try Tensor(places).to(model.device))
  }
}
