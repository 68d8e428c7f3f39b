import Torch

/// The keys and values of one layer, in memory that grows by blocks.
public final class LayerCache {
  private var keys: Tensor?
  private var values: Tensor?
  private let block: Int
  /// Tokens held in each row.
  public private(set) var length = 0

  init(block: Int) { self.block = max(1, block) }

  /// Adds k, v [B, Hk, S, D] and returns all that is held, as views [B, Hk, K, D].
  ///
  /// - Throws: `TorchError` where rows, heads or features differ from what is held; the length is then as before.
  func append(_ k: Tensor, _ v: Tensor) throws(TorchError) -> (keys: Tensor, values: Tensor) {
    let place = length..<length + (try k.size(2))
    keys = try write(k, into: keys, at: place)
    values = try write(v, into: values, at: place)
    length = place.upperBound
    return (try held(keys, instead: k), try held(values, instead: v))
  }

  private func held(_ store: Tensor?, instead: Tensor) throws(TorchError) -> Tensor {
    try (store ?? instead).narrowed(2, 0..<length)
  }

  private func write(_ new: Tensor, into store: Tensor?, at place: Range<Int>) throws(TorchError) -> Tensor {
    let shape = new.shape
    guard shape.count == 4 else {
      throw TorchError(operation: "cache", operands: [new], message: "keys and values have the shape [B, Hk, S, D]")
    }
    let capacity = try store?.size(2) ?? 0
    var target = store
    if place.upperBound > capacity {
      // Doubling up to a point keeps copies rare; whole blocks keep the waste small after it.
      let wanted = max(place.upperBound, min(2 * capacity, capacity + 1024))
      let rounded = (wanted + block - 1) / block * block
      let grown = try Tensor.empty([shape[0], shape[1], rounded, shape[3]], dtype: new.dtype, device: new.device)
      if let store, place.lowerBound > 0 {
        try grown.narrowed(2, 0..<place.lowerBound).copyInPlace(try store.narrowed(2, 0..<place.lowerBound))
      }
      target = grown
    }
    guard let target else { return new }
    try target.narrowed(2, place).copyInPlace(new)
    return target
  }

  /// A cache of `rows` rows, each starting with what this one-row cache holds.
  func repeated(_ rows: Int) throws(TorchError) -> LayerCache {
    let copy = LayerCache(block: block)
    copy.length = length
    if let keys, let values {
      let held = 0..<length
      copy.keys = try keys.narrowed(2, held).expanded(rows, -1, -1, -1).contiguous()
      copy.values = try values.narrowed(2, held).expanded(rows, -1, -1, -1).contiguous()
    }
    return copy
  }

  /// Keeps the rows at `indices` [n] (int64) and drops the others.
  func keep(rows indices: Tensor) throws(TorchError) {
    let indices = try indices.to(keys?.device ?? .cpu)
    keys = try keys?.indexed(0, indices)
    values = try values?.indexed(0, indices)
  }
}

/// The keys and values of all layers, so that each token passes through the model once.
///
/// For use without gradients.
public final class KVCache {
  /// One cache a layer.
  public let layers: [LayerCache]

  /// An empty cache that grows by `block` tokens at a time.
  public init(layers: Int, block: Int = 64) {
    self.layers = (0..<layers).map { _ in LayerCache(block: block) }
  }

  private init(_ layers: [LayerCache]) { self.layers = layers }

  /// Tokens held in each row.
  public var length: Int { layers.first?.length ?? 0 }

  /// A cache of `rows` rows that all start with what this one-row cache holds: a shared prefix computed once.
  public func repeated(_ rows: Int) throws(TorchError) -> KVCache {
    var copies: [LayerCache] = []
    for layer in layers { copies.append(try layer.repeated(rows)) }
    return KVCache(copies)
  }

  /// Keeps the rows at `indices` and drops the others.
  public func keep(rows indices: [Int]) throws(TorchError) {
    let places = try Tensor(indices.map(Int64.init))
    for layer in layers { try layer.keep(rows: places) }
  }
}
