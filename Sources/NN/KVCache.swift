import Torch

/// The keys and values of all layers, so that each token passes through the model once.
///
/// Rows may be of different lengths. Each has its tokens in blocks; rows that begin with the same tokens share them, and a row
/// that leaves moves no other. For use without gradients.
public final class KVCache {
  private let pool: BlockPool
  /// The blocks of each row, in order.
  private var rows: [[Int32]]
  /// Tokens of each row in each layer, [layer][row]. Layers differ while a pass is under way.
  private var lengthsByLayer: [[Int]]
  /// The blocks of all rows as one table, for as long as they stay what they are.
  private var table: (blocks: [Int32], width: Int)?

  /// An empty cache in blocks of `block` tokens.
  public convenience init(layers: Int, block: Int = 64) {
    self.init(
      BlockPool(layers: layers, size: block), rows: [], lengths: Array(repeating: [], count: layers))
  }

  private init(_ pool: BlockPool, rows: [[Int32]], lengths: [[Int]]) {
    (self.pool, self.rows, lengthsByLayer) = (pool, rows, lengths)
    for row in rows { pool.retain(row) }
  }

  deinit { rows.forEach(pool.release) }

  /// The part of each layer.
  public var layers: LayerCaches { LayerCaches(cache: self) }

  /// Tokens held in each row.
  public var lengths: [Int] { lengthsByLayer.first ?? [] }

  /// Tokens held in the longest row.
  public var length: Int { lengths.max() ?? 0 }

  /// An empty cache whose rows can join this one.
  public func sibling() -> KVCache {
    KVCache(pool, rows: [], lengths: Array(repeating: [], count: lengthsByLayer.count))
  }

  /// A cache of `count` rows that all start with what this one-row cache holds, which is neither computed nor copied again.
  ///
  /// - Throws: `TorchError` where this cache has several rows.
  public func repeated(_ count: Int) throws(TorchError) -> KVCache {
    guard rows.count <= 1 else {
      throw TorchError(operation: "cache", message: "a cache of \(rows.count) rows cannot be repeated; it must have one")
    }
    return KVCache(
      pool, rows: rows.flatMap { Array(repeating: $0, count: count) },
      lengths: lengthsByLayer.map { $0.flatMap { Array(repeating: $0, count: count) } })
  }

  /// Keeps the rows at `indices`, in that order and as often as they are named, and drops the others.
  ///
  /// - Throws: `TorchError` where there is no such row.
  public func keep(rows indices: [Int]) throws(TorchError) {
    try check(indices)
    let kept = indices.map { rows[$0] }
    kept.forEach(pool.retain)
    rows.forEach(pool.release)
    rows = kept
    lengthsByLayer = lengthsByLayer.map { lengths in indices.map { lengths[$0] } }
    table = nil
  }

  private func check(_ indices: [Int]) throws(TorchError) {
    let count = lengthsByLayer.map(\.count).min() ?? 0
    if let wrong = indices.first(where: { !(0..<count).contains($0) }) {
      throw TorchError(.indexRange, operation: "cache", message: "there is no row \(wrong) in a cache of \(count)")
    }
  }

  /// Takes over the rows of a ``sibling()``, behind its own.
  ///
  /// - Throws: `TorchError` where the other is no sibling.
  public func append(_ other: KVCache) throws(TorchError) {
    guard other.pool === pool else {
      throw TorchError(operation: "cache", message: "the rows of a cache can join only a cache that it is a sibling of")
    }
    other.rows.forEach(pool.retain)
    rows += other.rows
    for layer in lengthsByLayer.indices { lengthsByLayer[layer] += other.lengthsByLayer[layer] }
    table = nil
  }
}

// MARK: - Writing

extension KVCache {
  /// Puts k, v [Σ counts, Hk, D] behind the rows from `first` on, `counts` tokens each; rows that are not there yet begin.
  ///
  /// - Returns: the layer's memory and, for those rows, where their tokens were before and are now.
  /// - Throws: `TorchError` where heads or features differ from what is held; the lengths are then as before.
  fileprivate func put(
    _ k: Tensor, _ v: Tensor, counts: [Int], from first: Int, layer: Int
  ) throws(TorchError) -> (memory: KeyValueBlocks, table: BlockTable) {
    let held = lengthsByLayer[layer]
    let past = counts.indices.map { held.count > first + $0 ? held[first + $0] : 0 }
    for (index, count) in counts.enumerated() {
      try reserve(first + index, past[index]..<past[index] + count)
    }
    let memory = try pool.memory(layer, for: k)
    let whole = wholeTable()
    let part = whole.blocks[first * whole.width..<(first + counts.count) * whole.width]
    let table = BlockTable(blocks: Array(part), width: whole.width, past: past)
    try memory.put(k, v, counts: counts, at: table)
    for (index, count) in counts.enumerated() {
      let row = first + index
      if row < held.count { lengthsByLayer[layer][row] += count } else { lengthsByLayer[layer].append(count) }
    }
    return (memory, table)
  }

  /// Sees to it that the places of a row have blocks of its own.
  private func reserve(_ row: Int, _ places: Range<Int>) throws(TorchError) {
    if row >= rows.count {
      rows.append([])
      table = nil
    }
    guard !places.isEmpty else { return }
    for index in places.lowerBound / pool.size...(places.upperBound - 1) / pool.size {
      if index >= rows[row].count {
        rows[row].append(pool.take())
        table = nil
      } else {
        let owned = try pool.own(rows[row][index])
        if owned != rows[row][index] {
          rows[row][index] = owned
          table = nil
        }
      }
    }
  }

  private func wholeTable() -> (blocks: [Int32], width: Int) {
    if let table { return table }
    let width = max(1, rows.map(\.count).max() ?? 0)
    let made = (rows.flatMap { $0 + Array(repeating: $0.last ?? 0, count: width - $0.count) }, width)
    table = made
    return made
  }

  /// The keys and values of a row, by layer.
  ///
  /// - Throws: `TorchError` where there is no such row.
  public func contents(ofRow row: Int) throws(TorchError) -> [KeyValueRows] {
    try check([row])
    var contents: [KeyValueRows] = []
    for (layer, lengths) in lengthsByLayer.enumerated() {
      contents.append(try pool.contents(of: rows[row], layer: layer, count: lengths[row]))
    }
    return contents
  }

  fileprivate func lengths(of layer: Int) -> [Int] { lengthsByLayer[layer] }
}

/// The caches of all layers of a model.
public struct LayerCaches {
  fileprivate let cache: KVCache

  /// The part of layer `index`.
  public subscript(index: Int) -> LayerCache { LayerCache(cache: cache, layer: index) }
}

/// The keys and values of one layer.
public struct LayerCache {
  fileprivate let cache: KVCache
  fileprivate let layer: Int

  /// Rows that hold tokens of this layer.
  var rowCount: Int { cache.lengths(of: layer).count }

  /// Begins a row with each of the segments of k, v [T, Hk, D].
  func begin(_ k: Tensor, _ v: Tensor, segments: [Int]) throws(TorchError) {
    _ = try cache.put(k, v, counts: segments, from: rowCount, layer: layer)
  }

  /// Puts k, v [B, S, Hk, D] behind the B rows and looks from q [B, S, H, D] at all they hold → [B, S, H, D].
  ///
  /// - Throws: `TorchError` where rows, heads or features differ from what is held; the lengths are then as before.
  func attend(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, window: Int?, scale: Double
  ) throws(TorchError) -> Tensor {
    let shape = k.shape
    guard shape.count == 4, shape[0] == rowCount else {
      throw TorchError(
        operation: "cache", operands: [k],
        message: "keys and values [B, S, Hk, D] must have the rows of the cache, \(rowCount)")
    }
    let flat = [shape[0] * shape[1], shape[2], shape[3]]
    let (memory, table) = try cache.put(
      try k.reshaped(flat), try v.reshaped(flat), counts: Array(repeating: shape[1], count: shape[0]), from: 0, layer: layer)
    return try memory.attention(q, at: table, window: window, scale: scale)
  }
}
