/// The spellings of a vocabulary and their ids, both ways.
///
/// Spellings are compared byte by byte. Swift's `String` would take canonically equivalent spellings (`Å` and `Å`) for one
/// key, and vocabularies hold both.
struct TokenTable: Sendable {
  /// More ids than any vocabulary has: a bound on what a malformed file can make us allocate.
  static let maximumCount = 1 << 22

  private struct Spelling {
    var start: UInt32
    var length: UInt32
  }

  private static let absent = Spelling(start: 0, length: .max)
  private var bytes: [UInt8] = []
  private var spellings: [Spelling] = []
  private var slots: [Int32] = []
  /// How many ids have a spelling.
  private(set) var filled = 0

  /// An empty table with room for `capacity` tokens.
  init(capacity: Int) {
    slots = Array(repeating: -1, count: TokenTable.slotCount(for: capacity))
    spellings.reserveCapacity(capacity)
    bytes.reserveCapacity(capacity * 8)
  }

  /// Ids run from 0 to one less than this.
  var count: Int { spellings.count }

  private static func slotCount(for capacity: Int) -> Int {
    var count = 16
    while count < capacity * 2 { count *= 2 }
    return count
  }

  enum Insertion {
    case done
    /// The spelling has another id already.
    case spellingTaken(by: Int32)
    /// The id has another spelling already.
    case idTaken
  }

  /// Enters a token. `id` is in `0..<maximumCount`. The same pair twice is no conflict.
  mutating func insert(_ spelling: UnsafeBufferPointer<UInt8>, id: Int32) -> Insertion {
    let hash = ByteHash.hash(spelling)
    if let known = self.id(of: spelling, hash: hash) { return known == id ? .done : .spellingTaken(by: known) }
    let index = Int(id)
    if index < spellings.count, spellings[index].length != .max { return .idTaken }
    while spellings.count <= index { spellings.append(TokenTable.absent) }
    spellings[index] = Spelling(
      start: UInt32(truncatingIfNeeded: bytes.count), length: UInt32(truncatingIfNeeded: spelling.count))
    bytes.append(contentsOf: spelling)
    filled += 1
    if filled * 2 > slots.count { grow() }
    enter(id, hash: hash)
    return .done
  }

  mutating func insert(_ spelling: String, id: Int32) -> Insertion {
    var spelling = spelling
    return spelling.withUTF8 { insert($0, id: id) }
  }

  private mutating func grow() {
    slots = Array(repeating: -1, count: slots.count * 2)
    for id in 0..<Int32(spellings.count) {
      if let hash = withSpelling(of: id, { ByteHash.hash($0) }) { enter(id, hash: hash) }
    }
  }

  private mutating func enter(_ id: Int32, hash: UInt64) {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: hash) & mask
    while slots[slot] >= 0 {
      if slots[slot] == id { return }
      slot = (slot + 1) & mask
    }
    slots[slot] = id
  }

  /// The id of a spelling.
  func id(of spelling: UnsafeBufferPointer<UInt8>) -> Int32? { id(of: spelling, hash: ByteHash.hash(spelling)) }

  private func id(of spelling: UnsafeBufferPointer<UInt8>, hash: UInt64) -> Int32? {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: hash) & mask
    return bytes.withUnsafeBufferPointer { bytes in
      while slots[slot] >= 0 {
        let entry = spellings[Int(slots[slot])]
        let known = UnsafeBufferPointer(rebasing: bytes[Int(entry.start)..<Int(entry.start) + Int(entry.length)])
        if ByteHash.equal(known, spelling) { return slots[slot] }
        slot = (slot + 1) & mask
      }
      return nil
    }
  }

  func id(of spelling: String) -> Int32? {
    var spelling = spelling
    return spelling.withUTF8 { id(of: $0) }
  }

  func id(of spelling: [UInt8]) -> Int32? { spelling.withUnsafeBufferPointer { id(of: $0) } }

  /// Calls `body` with the spelling of `id`; nil where there is none.
  func withSpelling<Result>(of id: Int32, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result? {
    guard id >= 0, Int(id) < spellings.count, spellings[Int(id)].length != .max else { return nil }
    let entry = spellings[Int(id)]
    return bytes.withUnsafeBufferPointer {
      body(UnsafeBufferPointer(rebasing: $0[Int(entry.start)..<Int(entry.start) + Int(entry.length)]))
    }
  }

  func spelling(of id: Int32) -> [UInt8]? { withSpelling(of: id) { Array($0) } }

  func string(of id: Int32) -> String? { withSpelling(of: id) { String(decoding: $0, as: UTF8.self) } }
}
