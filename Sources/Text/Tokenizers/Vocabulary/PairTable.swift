/// What two neighbouring tokens merge into, and how early.
struct PairTable: Sendable {
  /// One merge. A lower rank is done earlier.
  struct Merge: Sendable, Hashable {
    var rank: UInt32
    var id: Int32
  }

  private static let empty = UInt64.max
  private var keys: [UInt64]
  private var merges: [Merge]

  /// An empty table with room for `capacity` pairs.
  init(capacity: Int) {
    var count = 16
    while count < capacity * 2 { count *= 2 }
    keys = Array(repeating: PairTable.empty, count: count)
    merges = Array(repeating: Merge(rank: 0, id: 0), count: count)
  }

  @inline(__always)
  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  /// Enters a merge of two ids that are not negative; a pair entered again takes the later merge. At most `capacity` pairs.
  mutating func insert(_ left: Int32, _ right: Int32, _ merge: Merge) {
    let slot = slot(of: PairTable.key(left, right))
    keys[slot] = PairTable.key(left, right)
    merges[slot] = merge
  }

  @inline(__always)
  private func slot(of key: UInt64) -> Int {
    let mask = keys.count - 1
    var slot = Int(truncatingIfNeeded: ByteHash.mix(key)) & mask
    while keys[slot] != key, keys[slot] != PairTable.empty { slot = (slot + 1) & mask }
    return slot
  }

  /// The merge of two ids.
  @inline(__always)
  subscript(left: Int32, right: Int32) -> Merge? {
    let slot = slot(of: PairTable.key(left, right))
    return keys[slot] == PairTable.empty ? nil : merges[slot]
  }
}
