import NN
import Torch

/// Rows of tokens on their way through a model: prompts first, then one token a row and step.
///
/// Shorter prompts are padded in front, so that every row ends in the same column. Rows that start with the same prompt share
/// its pass through the model.
struct DecodingBatch {
  private let model: any CausalLM
  private let cache: KVCache
  /// Padding in front of each row.
  private var pads: [Int]
  /// Columns so far, padding included.
  private var width: Int
  /// Which positions hold tokens [B, width]; nil where no row is padded.
  private var real: Tensor?
  /// Scores of the next token [B, V].
  private(set) var logits: Tensor

  /// Passes the prompts through the model, as many columns at a time as keep a pass to `tokensPerPass` tokens.
  ///
  /// - Returns: nil where `shouldStop` said so between two passes.
  /// - Throws: `TorchError` where there are no prompts, or of an operation.
  init?(_ model: any CausalLM, prompts: [[Int32]], tokensPerPass: Int, shouldStop: () -> Bool) throws(TorchError) {
    var places: [[Int32]: Int] = [:]
    var rows: [[Int32]] = []
    let owners = prompts.map { prompt in
      if let place = places[prompt] { return place }
      places[prompt] = rows.count
      rows.append(prompt)
      return rows.count - 1
    }
    let width = rows.map(\.count).max() ?? 0
    (self.model, self.width, cache) = (model, width, model.makeCache())
    pads = rows.map { width - $0.count }
    let columns = try PaddedColumns(rows, width: width, device: model.device)
    real = columns.real
    var last: Tensor?
    let step = max(1, tokensPerPass / max(1, rows.count))
    for start in stride(from: 0, to: width, by: step) {
      if shouldStop() { return nil }
      last = try model.hidden(try columns.input(start..<min(start + step, width), cache: cache))
    }
    guard let last else { throw TorchError(operation: "prefill", message: "there are no prompts") }
    logits = try Self.scores(last, of: model)
    if rows.count < prompts.count { logits = try repeatRows(owners) }
  }

  /// Gives each of several sequences with one prompt a row of its own.
  private mutating func repeatRows(_ owners: [Int]) throws(TorchError) -> Tensor {
    try keep(owners)
    return try logits.rows(owners)
  }

  /// Scores [B, V] after the last column of `hidden` [B, S, d]; those of the other columns are never made.
  private static func scores(_ hidden: Tensor, of model: any CausalLM) throws(TorchError) -> Tensor {
    let columns = try hidden.size(1)
    return try model.head.forward(try hidden.selected(1, columns - 1))
  }

  /// Passes one more token of each row [B] (int64) through the model.
  mutating func advance(_ tokens: Tensor) throws(TorchError) {
    if let padded = real {
      let column = try Tensor.ones([pads.count, 1], dtype: .bool, device: padded.device)
      real = try Tensor.concatenated([padded, column], 1)
    }
    let positions = try Tensor(pads.map { Int64(width - $0) }, shape: [pads.count, 1]).to(tokens.device)
    width += 1
    let input = ModelInput(
      tokens: try tokens.unsqueezed(-1), positions: positions, length: width - (pads.min() ?? 0),
      pattern: real.map { .padded(real: $0) } ?? .causal, cache: cache)
    logits = try Self.scores(try model.hidden(input), of: model)
  }

  /// Keeps the rows at `rows`, for ``advance(_:)`` to come, and drops the others.
  mutating func keep(_ rows: [Int]) throws(TorchError) {
    try cache.keep(rows: rows)
    pads = rows.map { pads[$0] }
    let isPadded = pads.contains { $0 > 0 }
    real = isPadded ? try real?.rows(rows) : nil
  }
}

/// Prompts side by side, padded in front.
private struct PaddedColumns {
  private let tokens: Tensor
  private let positions: Tensor
  let real: Tensor?

  init(_ rows: [[Int32]], width: Int, device: Device) throws(TorchError) {
    var tokens: [Int32] = []
    var positions: [Int32] = []
    var real: [Bool] = []
    for row in rows {
      let padding = width - row.count
      tokens += Array(repeating: 0, count: padding) + row
      positions += Array(repeating: 0, count: padding) + (0..<Int32(row.count))
      real += Array(repeating: false, count: padding) + Array(repeating: true, count: row.count)
    }
    let shape = [rows.count, width]
    self.tokens = try Tensor(tokens, shape: shape).to(.int64).to(device)
    self.positions = try Tensor(positions, shape: shape).to(.int64).to(device)
    self.real = real.contains(false) ? try Tensor(real, shape: shape).to(device) : nil
  }

  /// The columns of one pass. The longest row has no padding, so the last column is also the highest position.
  func input(_ columns: Range<Int>, cache: KVCache) throws(TorchError) -> ModelInput {
    ModelInput(
      tokens: try tokens.narrowed(1, columns), positions: try positions.narrowed(1, columns), length: columns.upperBound,
      pattern: try real.map { (real) throws(TorchError) in .padded(real: try real.narrowed(1, 0..<columns.upperBound)) }
        ?? .causal,
      cache: cache)
  }
}
