import Torch

/// The memory of caches in blocks of tokens: which are free, and how many rows use each.
///
/// A block has a place in every layer. Rows share blocks that hold the same tokens; who writes into a shared one gets a copy.
final class BlockPool {
  /// Tokens of a block.
  let size: Int
  /// Rows that use each block.
  private var uses: [Int] = []
  private var free: [Int32] = []
  /// The memory of each layer, made when it is first written to.
  private var layers: [KeyValueBlocks?]

  init(layers: Int, size: Int) {
    self.layers = Array(repeating: nil, count: layers)
    self.size = max(1, size)
  }

  /// A block that nobody uses, used once now.
  func take() -> Int32 {
    if let block = free.popLast() {
      uses[Int(block)] = 1
      return block
    }
    uses.append(1)
    return Int32(uses.count - 1)
  }

  func retain(_ blocks: [Int32]) {
    for block in blocks { uses[Int(block)] += 1 }
  }

  func release(_ blocks: [Int32]) {
    for block in blocks {
      uses[Int(block)] -= 1
      if uses[Int(block)] == 0 { free.append(block) }
    }
  }

  /// A block with the same numbers that no other row uses: the block itself, or a copy in its place.
  func own(_ block: Int32) throws(TorchError) -> Int32 {
    guard uses[Int(block)] > 1 else { return block }
    let copy = take()
    for index in layers.indices {
      guard try grow(index) else { continue }
      try layers[index]?.copy(Int(block), to: Int(copy))
    }
    release([block])
    return copy
  }

  /// The memory of a layer with room for every block, for keys and values like `k` [.., Hk, D].
  ///
  /// - Throws: `TorchError` where heads or features differ from what the layer holds.
  func memory(_ layer: Int, for k: Tensor) throws(TorchError) -> KeyValueBlocks {
    let shape = k.shape
    if layers[layer] == nil {
      layers[layer] = try KeyValueBlocks(
        count: uses.count, heads: shape[shape.count - 2], tokens: size, features: shape[shape.count - 1], dtype: k.dtype,
        device: k.device)
    }
    _ = try grow(layer)
    guard let memory = layers[layer] else { throw TorchError(operation: "cache", message: "layer \(layer) has no memory") }
    return memory
  }

  /// The first `count` keys and values [count, Hk, D] in `blocks` of a layer, as tensors of their own.
  func contents(of blocks: [Int32], layer: Int, count: Int) throws(TorchError) -> KeyValueRows {
    guard let memory = layers[layer] else { throw TorchError(operation: "cache", message: "layer \(layer) has no memory") }
    let shape = memory.values.shape
    let places = try Tensor(blocks.map(Int64.init)).to(memory.keys.device)
    let keys = try memory.keys.indexed(0, places).permuted(0, 3, 1, 2)
    let values = try memory.values.indexed(0, places).permuted(0, 2, 1, 3)
    func rows(_ tokens: Tensor) throws(TorchError) -> Tensor {
      try tokens.reshaped(blocks.count * size, shape[1], shape[3]).narrowed(0, 0..<count)
    }
    return KeyValueRows(keys: try rows(keys), values: try rows(values))
  }

  /// Makes room for every block in a layer; false where the layer has no memory yet.
  private func grow(_ layer: Int) throws(TorchError) -> Bool {
    guard let old = layers[layer] else { return false }
    let (shape, count) = (old.values.shape, uses.count)
    if shape[0] >= count { return true }
    let new = try KeyValueBlocks(
      count: max(count, shape[0] + shape[0] / 2), heads: shape[1], tokens: size, features: shape[3], dtype: old.keys.dtype,
      device: old.keys.device)
    try new.keys.narrowed(0, 0..<shape[0]).copyInPlace(old.keys)
    try new.values.narrowed(0, 0..<shape[0]).copyInPlace(old.values)
    layers[layer] = new
    return true
  }
}

extension KeyValueBlocks {
  fileprivate func copy(_ block: Int, to other: Int) throws(TorchError) {
    try keys.selected(0, other).copyInPlace(try keys.selected(0, block))
    try values.selected(0, other).copyInPlace(try values.selected(0, block))
  }
}
