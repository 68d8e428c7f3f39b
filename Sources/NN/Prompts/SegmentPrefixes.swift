import Torch

/// Keys and values that stand before the segments of a flat row in one layer: the prefixes there are, and which of them each
/// segment has.
public struct SegmentPrefixes {
  /// The prefixes, each once.
  let prefixes: [KeyValueRows]
  /// The place in `prefixes` of what stands before each segment; nil for nothing.
  let owners: [Int?]

  /// Keys and values of each segment: how many there are.
  var counts: [Int] { owners.map { $0.map { prefixes[$0].count } ?? 0 } }

  /// Every key and value, for what has to be told of all tensors a layer takes.
  var tensors: [Tensor] { prefixes.flatMap { [$0.keys, $0.values] } }

  /// The same with other tensors, as many as ``tensors``.
  func replacing(_ tensors: [Tensor]) -> SegmentPrefixes {
    let pairs = stride(from: 0, to: tensors.count - 1, by: 2).map { KeyValueRows(keys: tensors[$0], values: tensors[$0 + 1]) }
    return SegmentPrefixes(prefixes: pairs, owners: owners)
  }

  /// Keys and values [T, Hk, D] of segments with these before those of each: [T + Σ counts, Hk, D].
  func before(_ k: Tensor, _ v: Tensor, segments: [Int]) throws(TorchError) -> (keys: Tensor, values: Tensor) {
    (try interleaved(prefixes.map(\.keys), k, segments), try interleaved(prefixes.map(\.values), v, segments))
  }

  /// One copy of a prefix for each segment that has it, so that its gradient is summed in its own element type.
  private func interleaved(_ prefixes: [Tensor], _ own: Tensor, _ segments: [Int]) throws(TorchError) -> Tensor {
    var copies: [Tensor] = []
    for (index, prefix) in prefixes.enumerated() {
      let shape = prefix.shape
      let count = owners.count { $0 == index }
      copies.append(try prefix.unsqueezed(0).expanded(count, shape[0], shape[1], shape[2]).to(own.dtype))
    }
    var used = Array(repeating: 0, count: prefixes.count)
    var parts: [Tensor] = []
    for (owner, part) in zip(owners, try own.split(0, segments)) {
      if let owner {
        parts.append(try copies[owner].selected(0, used[owner]))
        used[owner] += 1
      }
      parts.append(part)
    }
    return try .concatenated(parts, 0)
  }
}

extension KeyValueRows {
  /// n.
  var count: Int { keys.shape.first ?? 0 }

  /// The prefixes one behind the other, layer by layer.
  static func joined(_ prefixes: [[KeyValueRows]]) throws(TorchError) -> [KeyValueRows] {
    guard let first = prefixes.first, prefixes.count > 1 else { return prefixes.first ?? [] }
    var joined: [KeyValueRows] = []
    for layer in first.indices {
      joined.append(
        KeyValueRows(
          keys: try .concatenated(prefixes.map { $0[layer].keys }, 0),
          values: try .concatenated(prefixes.map { $0[layer].values }, 0)))
    }
    return joined
  }
}
