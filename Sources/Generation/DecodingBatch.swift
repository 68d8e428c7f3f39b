import NN
import Torch

/// Rows of tokens on their way through a model: prompts first, then one token a row and step.
///
/// Prompts pass through the model laid end to end, without padding. Rows that start with the same prompt share its pass and
/// its memory.
struct DecodingBatch {
  private let model: any CausalLM
  private let cache: KVCache
  private var requests: RoutedRequests
  /// Scores of the next token [B, V].
  private(set) var logits: Tensor

  /// Passes the prompts of `requests` through the model, at most `tokensPerPass` tokens at a time.
  ///
  /// - Returns: nil where `shouldStop` said so between two passes.
  /// - Throws: `TorchError` where there are no prompts, or of an operation.
  init?(
    _ model: any CausalLM, prompts: [[Int32]], requests: RoutedRequests, tokensPerPass: Int, shouldStop: () -> Bool
  ) throws(TorchError) {
    var places: [Prompt: Int] = [:]
    var rows: [[Int32]] = []
    var readers: [Int] = []
    let owners = zip(prompts, requests.indices).map { tokens, request in
      let prompt = Prompt(tokens: tokens, kind: requests.kind(of: request))
      if let place = places[prompt] { return place }
      places[prompt] = rows.count
      rows.append(tokens)
      readers.append(request)
      return rows.count - 1
    }
    var prefill = Prefill(model, requests: requests.keeping(readers), tokensPerPass: max(1, tokensPerPass))
    var next = 0
    while next < rows.count {
      guard let read = try prefill.read(rows[next...], shouldStop: shouldStop) else { return nil }
      next += read
    }
    (self.model, cache, self.requests) = (model, prefill.cache, requests)
    let scores = try model.head.forward(try prefill.ends())
    let isShared = rows.count < prompts.count
    if isShared { try cache.keep(rows: owners) }
    logits = isShared ? try scores.rows(owners) : scores
  }

  /// Passes one more token of each row [B] (int64) through the model.
  mutating func advance(_ tokens: Tensor) throws(TorchError) {
    let lengths = cache.lengths
    requests.route(counts: lengths.map { _ in 1 })
    let positions = try Tensor(lengths.map(Int64.init), shape: [lengths.count, 1]).to(tokens.device)
    let input = ModelInput(
      tokens: try tokens.unsqueezed(-1), positions: positions, length: cache.length + 1, cache: cache)
    logits = try model.head.forward(try model.hidden(input).squeezed(1))
  }

  /// Keeps the rows at `rows`, for ``advance(_:)`` to come, and drops the others.
  mutating func keep(_ rows: [Int]) throws(TorchError) {
    try cache.keep(rows: rows)
    requests = requests.keeping(rows.map { requests.indices[$0] })
  }
}

/// A prompt as far as its pass depends on it.
private struct Prompt: Hashable {
  let tokens: [Int32]
  let kind: Int
}

/// Requests in the order of a batch, and who is told of them.
struct RoutedRequests {
  /// What the requests are called by.
  let indices: [Int]
  private let routing: (any RowRouting)?

  init(_ indices: [Int], through routing: (any RowRouting)?) { (self.indices, self.routing) = (indices, routing) }

  func kind(of request: Int) -> Int { routing?.kind(of: request) ?? 0 }

  /// Other requests that are told in the same way.
  func keeping(_ indices: [Int]) -> RoutedRequests { RoutedRequests(indices, through: routing) }

  /// Tells the rows of the next pass: so many of each request, from the one at `start` on.
  func route(from start: Int = 0, counts: [Int]) {
    routing?.route(zip(indices[start...], counts).map { ($0, $1) })
  }
}

/// Prompts on their way into a cache.
private struct Prefill {
  private let model: any CausalLM
  private let requests: RoutedRequests
  private let tokensPerPass: Int
  let cache: KVCache
  /// What the head takes after the last token of each row, in parts [n, d].
  private var last: [Tensor] = []

  init(_ model: any CausalLM, requests: RoutedRequests, tokensPerPass: Int) {
    (self.model, self.requests, self.tokensPerPass, cache) = (model, requests, tokensPerPass, model.makeCache())
  }

  /// Reads the first rows, as many as make a pass; a longer one alone, in pieces.
  ///
  /// - Returns: how many were read; nil where `shouldStop` said so before a pass.
  mutating func read(_ rows: ArraySlice<[Int32]>, shouldStop: () -> Bool) throws(TorchError) -> Int? {
    var batch: [[Int32]] = []
    var tokens = 0
    for row in rows {
      guard tokens + row.count <= tokensPerPass else { break }
      batch.append(row)
      tokens += row.count
    }
    if let row = rows.first, batch.isEmpty {
      return try readInPieces(row, at: rows.startIndex, shouldStop: shouldStop) ? 1 : nil
    }
    if shouldStop() { return nil }
    requests.route(from: rows.startIndex, counts: batch.map(\.count))
    let input = try ModelInput(
      flat: batch.flatMap { $0 }, positions: batch.flatMap { 0..<Int32($0.count) }, segments: batch.map(\.count), cache: cache,
      device: model.device)
    var end: Int64 = -1
    let ends = batch.map { row in
      end += Int64(row.count)
      return end
    }
    last.append(try model.hidden(input).squeezed(0).indexed(0, try Tensor(ends).to(model.device)))
    return batch.count
  }

  /// Reads one row as one of a cache beside the others; false where `shouldStop` said so between two pieces.
  private mutating func readInPieces(
    _ row: [Int32], at index: Int, shouldStop: () -> Bool
  ) throws(TorchError) -> Bool {
    let alone = cache.sibling()
    var piece: Tensor?
    for start in stride(from: 0, to: row.count, by: tokensPerPass) {
      if shouldStop() { return false }
      let tokens = Array(row[start..<min(start + tokensPerPass, row.count)])
      requests.route(from: index, counts: [tokens.count])
      let hidden = try model.hidden(try ModelInput(rows: [tokens], cache: alone, device: model.device))
      piece = try hidden.selected(1, tokens.count - 1)
    }
    if let piece { last.append(piece) }
    try cache.append(alone)
    return true
  }

  /// What the head takes after the last token of each row [B, d].
  func ends() throws(TorchError) -> Tensor {
    guard let first = last.first else { throw TorchError(operation: "prefill", message: "there are no prompts") }
    return last.count == 1 ? first : try Tensor.concatenated(last, 0)
  }
}
