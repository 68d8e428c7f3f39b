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
  /// Keys and values before the segments, by layer; empty for none.
  let prefixes: [SegmentPrefixes]
  /// Where the tokens are among all rows, one behind the other; nil where the rows are the tokens.
  private let tokens: Tensor?
  /// The shape of the tokens [B, S].
  private let shape: [Int]

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
    (cache, shape) = (input.cache, input.tokens.shape)
    let own = try input.beginningRows()
    let real = own.count - (input.filling > 0 ? 1 : 0)
    guard !own.isEmpty, let fronts = try prompts.fronts(rows: real, tasks: input.tasks, layers: layers) else {
      (rows, positions, length, pattern) = (embedded, input.positions, input.length, input.pattern)
      (prefixes, tokens) = ([], nil)
      return
    }
    if case .padded = input.pattern {
      throw TorchError(
        operation: "virtual_tokens", operands: [input.tokens],
        message: "virtual tokens cannot stand before padded rows; lay the rows end to end as segments")
    }
    let (counts, added) = (fronts.counts, fronts.virtualRows)
    length = max(input.length, counts.indices.map { own[$0] + counts[$0] }.max() ?? 0)
    let shifted = try input.positions.shifted(own, by: counts)
    let flat = FlatRows(own, added: added, multiple: input.multiple)
    prefixes = fronts.prefixes(segments: flat.lengths.count)
    // Full rows that stay equally long are no segments, unless keys stand before them.
    let stayFull = if case .causal = input.pattern { prefixes.isEmpty && Set(added).count == 1 } else { false }
    pattern = stayFull ? .causal : .segments(flat.lengths)
    guard added.contains(where: { $0 > 0 }) else {
      (rows, positions, tokens) = (embedded, shifted, nil)
      return
    }
    let device = embedded.device
    var (front, places): ([Tensor?], [Tensor?]) = ([], [])
    for (index, rows) in fronts.rows.enumerated() {
      front.append(try rows?.to(embedded.dtype))
      let own = (counts[index] - added[index]..<counts[index]).map(Int64.init)
      places.append(own.isEmpty ? nil : try Tensor(own).to(device))
    }
    let count = stayFull ? own.count : 1
    rows = try flat.joined(front, embedded.reshaped(shape.reduce(1, *), -1)).reshaped(count, -1, try embedded.size(2))
    positions = try flat.joined(places, shifted.reshaped(-1)).reshaped(count, -1)
    tokens = try Tensor(flat.tokens).to(device)
  }

  /// Of what comes out of the last layer, the rows of tokens: [B, S, d] as the input had them.
  public func tokens(of hidden: Tensor) throws(TorchError) -> Tensor {
    guard let tokens else { return hidden }
    let size = try hidden.size(2)
    return try hidden.reshaped(-1, size).indexed(0, tokens).reshaped(shape + [size])
  }
}

extension ModelInput {
  /// The tokens of each row that begins, filling included; none where rows go on behind what a cache holds.
  fileprivate func beginningRows() throws(TorchError) -> [Int] {
    guard beginsRows else { return [] }
    if case .segments(let lengths) = pattern { return lengths }
    return Array(repeating: try tokens.size(1), count: try tokens.size(0))
  }
}

/// A flat row of segments with virtual rows before some of them.
private struct FlatRows {
  /// Of the segments, virtual rows included.
  private(set) var lengths: [Int]
  /// Where the tokens are.
  private(set) var tokens: [Int64] = []
  private let own: [Int]
  private let filling: Int

  /// - Parameters:
  ///   - own: tokens of each segment.
  ///   - added: how many virtual rows the segments begin with; one behind those only fills the row up.
  ///   - multiple: what the row is filled up to a multiple of.
  init(_ own: [Int], added: [Int], multiple: Int) {
    self.own = own
    lengths = own.indices.map { own[$0] + ($0 < added.count ? added[$0] : 0) }
    let total = lengths.reduce(0, +)
    filling = (multiple - total % multiple) % multiple
    var start: Int64 = 0
    for (own, whole) in zip(own, lengths) {
      tokens += start + Int64(whole - own)..<start + Int64(whole)
      start += Int64(whole)
    }
    if filling > 0, added.count < own.count {
      lengths[added.count] += filling
    } else if filling > 0 {
      lengths.append(filling)
    }
  }

  /// `fronts` [n, ..] and `rows` [T, ..] in the order of the segments, filled up with zeros.
  func joined(_ fronts: [Tensor?], _ rows: Tensor) throws(TorchError) -> Tensor {
    var parts: [Tensor] = []
    for (index, part) in try rows.split(0, own).enumerated() {
      if index < fronts.count, let front = fronts[index] { parts.append(front) }
      parts.append(part)
    }
    if filling > 0 {
      parts.append(try .zeros([filling] + rows.shape.dropFirst(), dtype: rows.dtype, device: rows.device))
    }
    return try .concatenated(parts, 0)
  }
}

extension Tensor {
  /// Positions (int64) of rows of these lengths, each as much further on as its number in `counts` says; those behind stay.
  fileprivate func shifted(_ lengths: [Int], by counts: [Int]) throws(TorchError) -> Tensor {
    var shifts: [Int64] = []
    for (index, length) in lengths.enumerated() {
      shifts += repeatElement(index < counts.count ? Int64(counts[index]) : 0, count: length)
    }
    return try self + Tensor(shifts, shape: shape).to(device)
  }
}
