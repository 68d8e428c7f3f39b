import Torch

/// A pass on its way through the layers of a decoder: embeddings in place of tokens, and virtual tokens before each row that begins.
///
/// Where no soft prompt is at work, and for rows that go on behind a cache, it is the input as it stands: what is before a row is in
/// the cache by then, and positions count it.
public struct DecoderPass {
  /// What enters the first layer [B, S, d].
  public let rows: Tensor
  /// The position of each of them [B, S] int64.
  public let positions: Tensor
  /// One more than the highest position.
  public let length: Int
  /// Where keys and values are kept between passes.
  public let cache: KVCache?
  let pattern: AttentionPattern
  /// Keys and values before each row, by layer; empty for none.
  let prefix: [KeyValueRows]
  private let tokens: Places

  /// Where the tokens are among the rows.
  private enum Places {
    case all
    case from(Int)
    case at(Tensor)
  }

  /// The pass of `input` through a decoder.
  ///
  /// - Parameters:
  ///   - input: the tokens.
  ///   - embedding: the token table.
  ///   - prompts: what stands before rows.
  ///   - layers: how many layers the decoder has.
  /// - Throws: `TorchError` where virtual tokens are to stand before padded rows, or one of an operation.
  public init(_ input: ModelInput, embedding: Embedding, prompts: SoftPrompts, layers: Int) throws(TorchError) {
    let embedded = try embedding.forward(input.tokens)
    cache = input.cache
    let added = input.beginsRows ? prompts.count : 0
    guard added > 0 else {
      (rows, positions, length, pattern) = (embedded, input.positions, input.length, input.pattern)
      (prefix, tokens) = ([], .all)
      return
    }
    length = input.length + added
    let shifted = try input.positions.shifted(by: added)
    switch input.pattern {
    case .padded:
      throw TorchError(
        operation: "virtual_tokens", operands: [input.tokens],
        message: "virtual tokens cannot stand before padded rows; lay the rows end to end as segments")
    case .causal:
      let (count, width) = (try input.tokens.size(0), try input.tokens.size(1))
      let virtual = try prompts.virtualTokens(rows: count, tasks: input.tasks, layers: layers)
      prefix = virtual.prefix
      let start = added - (virtual.rows?.shape[1] ?? 0)
      // Rows with keys before them are segments.
      let whole = width + added - start
      pattern = prefix.isEmpty ? .causal : .segments(Array(repeating: whole, count: count))
      guard let front = virtual.rows else {
        (rows, positions, tokens) = (embedded, shifted, .all)
        return
      }
      let places = try Tensor.places(start..<added, device: embedded.device).expanded(count, added - start)
      rows = try .concatenated([try front.to(embedded.dtype), embedded], 1)
      positions = try .concatenated([places, shifted], 1)
      tokens = .from(added - start)
    case .segments(let lengths):
      let real = lengths.count - (input.filling > 0 ? 1 : 0)
      let virtual = try prompts.virtualTokens(rows: real, tasks: input.tasks, layers: layers)
      prefix = virtual.prefix
      guard let front = virtual.rows else {
        (rows, positions, pattern, tokens) = (embedded, shifted, input.pattern, .all)
        return
      }
      let start = added - (try front.size(1))
      let flat = FlatRows(lengths, real: real, added: added - start, multiple: input.multiple)
      rows = try flat.joined(front.to(embedded.dtype), embedded.squeezed(0)).unsqueezed(0)
      let places = try Tensor.places(start..<added, device: embedded.device).expanded(real, added - start)
      positions = try flat.joined(places, shifted.squeezed(0)).unsqueezed(0)
      pattern = .segments(flat.lengths)
      tokens = .at(try Tensor(flat.tokens).to(embedded.device))
    }
  }

  /// Of what comes out of the last layer, the rows of tokens: [B, S, d] as the input had them.
  public func tokens(of hidden: Tensor) throws(TorchError) -> Tensor {
    switch tokens {
    case .all: hidden
    case .from(let first): try hidden.narrowed(1, first..<(try hidden.size(1)))
    case .at(let places): try hidden.indexed(1, places)
    }
  }
}

/// A flat row of segments with virtual rows before each.
private struct FlatRows {
  /// Of the segments, virtual rows included.
  private(set) var lengths: [Int]
  /// Where the tokens are.
  private(set) var tokens: [Int64] = []
  private let own: [Int]
  private let real: Int
  private let added: Int
  private let filling: Int

  /// - Parameters:
  ///   - own: tokens of each segment.
  ///   - real: how many segments begin with virtual rows; one behind them only fills the row up.
  ///   - added: how many virtual rows each of those begins with.
  ///   - multiple: what the row is filled up to a multiple of.
  init(_ own: [Int], real: Int, added: Int, multiple: Int) {
    (self.own, self.real, self.added) = (own, real, added)
    lengths = own.indices.map { own[$0] + ($0 < real ? added : 0) }
    let total = lengths.reduce(0, +)
    filling = (multiple - total % multiple) % multiple
    var start: Int64 = 0
    for index in own.indices {
      if index < real { start += Int64(added) }
      tokens += start..<start + Int64(own[index])
      start += Int64(own[index])
    }
    if filling > 0, real < own.count {
      lengths[real] += filling
    } else if filling > 0 {
      lengths.append(filling)
    }
  }

  /// `front` [S, n, ..] and `rows` [T, ..] in the order of the segments, filled up with zeros.
  func joined(_ front: Tensor, _ rows: Tensor) throws(TorchError) -> Tensor {
    var parts: [Tensor] = []
    for (index, part) in try rows.split(0, own).enumerated() {
      if index < real { parts.append(try front.selected(0, index)) }
      parts.append(part)
    }
    if filling > 0 {
      parts.append(try .zeros([filling] + rows.shape.dropFirst(), dtype: rows.dtype, device: rows.device))
    }
    return try .concatenated(parts, 0)
  }
}

extension Tensor {
  /// The numbers of a range as positions [1, n] int64.
  fileprivate static func places(_ range: Range<Int>, device: Device) throws(TorchError) -> Tensor {
    try Tensor(range.map(Int64.init), shape: [1, range.count]).to(device)
  }

  /// Positions (int64) `count` further on.
  fileprivate func shifted(by count: Int) throws(TorchError) -> Tensor { try (try to(.float64) + Double(count)).to(.int64) }
}
