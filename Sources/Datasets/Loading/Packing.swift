/// Puts whole samples into rows of limited length.
///
/// Best fit decreasing: the longest samples first, each into the row with the least room that still takes it. Samples are never cut, and
/// none sees another: a row lists them one after the other, and attention and positions start anew with each.
///
/// Ding et al.: “Fewer truncations improve language modeling”, ICML 2024.
enum Packing {
  /// The rows, each as indices into `lengths`, in the order in which they were opened.
  ///
  /// Equal lengths keep their order, and of rows with equal room the one that has had it longest is taken, so the result is determined.
  ///
  /// - Parameters:
  ///   - lengths: how long the samples are, each from 1 to `capacity`.
  ///   - capacity: how long a row may be.
  static func rows(lengths: [Int], capacity: Int) -> [[Int]] {
    // More room than all samples need changes nothing but the size of the tables.
    let capacity = min(capacity, lengths.reduce(0, +))
    let order = lengths.indices.sorted { (-lengths[$0], $0) < (-lengths[$1], $1) }
    var rows: [[Int]] = []
    var open = OpenRows(capacity: capacity)
    for sample in order {
      let room: Int
      let row: Int
      if let found = open.takeFirst(room: lengths[sample]) {
        (room, row) = found
        rows[row].append(sample)
      } else {
        (room, row) = (capacity, rows.count)
        rows.append([sample])
      }
      if room > lengths[sample] { open.add(row, room: room - lengths[sample]) }
    }
    return rows
  }
}

/// The rows that still have room, found by how much.
private struct OpenRows {
  /// Rows by room, in the order in which they came to have it; `heads` says how many of them are gone.
  private var rows: [[Int]]
  private var heads: [Int]
  /// A tree over rooms: the number of rows below each node. Node 1 is the root, node `width + room` a leaf.
  private var tree: [Int]
  private let width: Int

  init(capacity: Int) {
    var width = 1
    while width <= capacity { width *= 2 }
    self.width = width
    rows = Array(repeating: [], count: capacity + 1)
    heads = Array(repeating: 0, count: capacity + 1)
    tree = Array(repeating: 0, count: 2 * width)
  }

  mutating func add(_ row: Int, room: Int) {
    rows[room].append(row)
    change(room, by: 1)
  }

  /// Removes the row with the least room, but `room` at least, and says how much it has.
  mutating func takeFirst(room: Int) -> (room: Int, row: Int)? {
    guard let found = smallest(from: room) else { return nil }
    let row = rows[found][heads[found]]
    heads[found] += 1
    if heads[found] == rows[found].count {
      rows[found] = []
      heads[found] = 0
    }
    change(found, by: -1)
    return (found, row)
  }

  private mutating func change(_ room: Int, by step: Int) {
    var node = width + room
    while node > 0 {
      tree[node] += step
      node /= 2
    }
  }

  /// The least room, from `room`, that any row has.
  private func smallest(from room: Int) -> Int? {
    var node = width + room
    if tree[node] > 0 { return room }
    while node > 1 {
      let isLeft = node.isMultiple(of: 2)
      if isLeft, tree[node + 1] > 0 {
        node += 1
        while node < width { node = tree[2 * node] > 0 ? 2 * node : 2 * node + 1 }
        return node - width
      }
      node /= 2
    }
    return nil
  }
}
