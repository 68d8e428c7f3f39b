import CTorch

/// Which blocks of a layer's memory hold which rows of tokens.
public struct BlockTable: Sendable {
  /// The blocks of each row, `width` for every row; what is behind a row's last is any block.
  public var blocks: [Int32]
  /// Blocks of the row that has most.
  public var width: Int
  /// Tokens of each row that are written.
  public var past: [Int]

  /// The parts by name.
  public init(blocks: [Int32], width: Int, past: [Int]) {
    (self.blocks, self.width, self.past) = (blocks, width, past)
  }

  fileprivate func withRaw<Result>(_ body: (UnsafePointer<ct_block_table>) -> Result) -> Result {
    let past = past.int64
    return blocks.withUnsafeBufferPointer { blocks in
      past.withUnsafeBufferPointer { past in
        var raw = ct_block_table(
          blocks: blocks.baseAddress, rows: Int64(past.count), width: Int64(width), past: past.baseAddress)
        return body(&raw)
      }
    }
  }
}

/// The keys [N, Hk, D, T] and values [N, Hk, T, D] of one layer in N blocks of T tokens.
public struct KeyValueBlocks {
  /// [N, Hk, D, T].
  public let keys: Tensor
  /// [N, Hk, T, D].
  public let values: Tensor

  /// Blocks whose numbers are yet to be written.
  public init(
    count: Int, heads: Int, tokens: Int, features: Int, dtype: DType, device: Device
  ) throws(TorchError) {
    keys = try .empty([count, heads, features, tokens], dtype: dtype, device: device)
    values = try .empty([count, heads, tokens, features], dtype: dtype, device: device)
  }

  /// Writes `counts` tokens behind the past of each row. k, v [Σ counts, Hk, D], one row after the other.
  public func put(_ k: Tensor, _ v: Tensor, counts: [Int], at table: BlockTable) throws(TorchError) {
    try Tensor.run("cache_put", keys, values, k, v) {
      table.withRaw { ct_cache_put(keys.raw, values.raw, $0, k.raw, v.raw, counts.int64) }
    }
  }

  /// Attention of S new tokens of each row, already put, over the row so far. q [rows, S, H, D] → [rows, S, H, D].
  ///
  /// Token i of a row sees the first past + i + 1, of these the last `window` where there is one. Without gradients.
  public func attention(_ q: Tensor, at table: BlockTable, window: Int?, scale: Double) throws(TorchError) -> Tensor {
    try Tensor.make("cached_attention", keys, values, q) { out in
      table.withRaw { ct_cached_attention(keys.raw, values.raw, $0, q.raw, Int64(window ?? 0), scale, out) }
    }
  }
}
