import Synchronization

/// The ids of words met before. Bounded: when full it starts afresh.
struct WordCache {
  /// Longer words are not kept.
  static let longestWord = 64
  private static let slotCount = 1 << 16
  private static let maximumEntries = 1 << 15
  private static let maximumBytes = 1 << 20

  private struct Entry {
    var hash: UInt64
    var start: Int32
    var length: Int32
    var firstID: Int32
    var idCount: Int32
  }

  private var slots: [Int32] = Array(repeating: -1, count: slotCount)
  private var entries: [Entry] = []
  private var bytes: [UInt8] = []
  private var ids: [Int32] = []

  /// Appends the ids of `word` where they are known.
  @inline(__always)
  mutating func append(_ word: UnsafeBufferPointer<UInt8>, hash: UInt64, to result: inout [Int32]) -> Bool {
    var slot = Int(truncatingIfNeeded: hash) & (WordCache.slotCount - 1)
    while slots[slot] >= 0 {
      let entry = entries[Int(slots[slot])]
      if entry.hash == hash, isWord(word, entry) {
        for index in Int(entry.firstID)..<Int(entry.firstID + entry.idCount) { result.append(ids[index]) }
        return true
      }
      slot = (slot + 1) & (WordCache.slotCount - 1)
    }
    return false
  }

  @inline(__always)
  private func isWord(_ word: UnsafeBufferPointer<UInt8>, _ entry: Entry) -> Bool {
    bytes.withUnsafeBufferPointer {
      ByteHash.equal(UnsafeBufferPointer(rebasing: $0[Int(entry.start)..<Int(entry.start + entry.length)]), word)
    }
  }

  /// Keeps the ids of a word that is not here yet.
  mutating func insert(_ word: UnsafeBufferPointer<UInt8>, hash: UInt64, ids newIDs: ArraySlice<Int32>) {
    if entries.count >= WordCache.maximumEntries || bytes.count + word.count > WordCache.maximumBytes { removeAll() }
    var slot = Int(truncatingIfNeeded: hash) & (WordCache.slotCount - 1)
    while slots[slot] >= 0 { slot = (slot + 1) & (WordCache.slotCount - 1) }
    slots[slot] = Int32(entries.count)
    entries.append(
      Entry(
        hash: hash, start: Int32(bytes.count), length: Int32(word.count), firstID: Int32(ids.count), idCount: Int32(newIDs.count))
    )
    bytes.append(contentsOf: word)
    ids.append(contentsOf: newIDs)
  }

  private mutating func removeAll() {
    for index in slots.indices { slots[index] = -1 }
    entries.removeAll(keepingCapacity: true)
    bytes.removeAll(keepingCapacity: true)
    ids.removeAll(keepingCapacity: true)
  }
}

/// What encoding needs to write to: a cache of words and buffers.
struct EncodingScratch {
  var cache = WordCache()
  var queue = MergeQueue()
  var matcher = PatternMatcher()
}

/// Lends scratch space to one call at a time, so that calls on several threads neither wait for nor disturb one another. It keeps as
/// many as were ever in use at once.
final class EncodingScratchPool: Sendable {
  private let kept = Mutex<[EncodingScratch]>([])

  /// Calls `body` with scratch space that nobody else has.
  func withScratch<Result>(_ body: (inout EncodingScratch) -> Result) -> Result {
    var scratch = kept.withLock { $0.popLast() } ?? EncodingScratch()
    let result = body(&scratch)
    let returned = scratch
    kept.withLock { $0.append(returned) }
    return result
  }
}
