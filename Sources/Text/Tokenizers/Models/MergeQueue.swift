/// A stretch of a word that is one token so far.
struct MergeSymbol: Sendable {
  /// The token, or -1 for a stretch that the vocabulary does not hold.
  var id: Int32
  /// The first byte in the word.
  var start: Int32
  /// Bytes; 0 once merged into the symbol before it.
  var length: Int32
  fileprivate var previous: Int32 = -1
  fileprivate var next: Int32 = -1

  init(id: Int32, start: Int, length: Int) {
    self.id = id
    self.start = Int32(truncatingIfNeeded: start)
    self.length = Int32(truncatingIfNeeded: length)
  }
}

/// Knows which neighbours merge into what.
protocol MergeRule {
  func merge(_ left: MergeSymbol, _ right: MergeSymbol, in word: UnsafeBufferPointer<UInt8>) -> PairTable.Merge?
}

/// Merges the symbols of a word, the lowest rank first and of equal ranks the leftmost, in O(n log n).
///
/// Holds its buffers between words, so that a text allocates a handful of times.
struct MergeQueue {
  /// A merge that was possible when it was entered. It is stale where either symbol has grown since, which its length tells.
  private struct Candidate {
    /// The rank, then the index of the left symbol.
    var key: UInt64
    var length: Int32
    var id: Int32
  }

  /// The symbols of the word, merged ones with length 0.
  private(set) var symbols: [MergeSymbol] = []
  private var heap: [Candidate] = []

  /// Starts a word.
  mutating func removeAll() {
    symbols.removeAll(keepingCapacity: true)
    heap.removeAll(keepingCapacity: true)
  }

  mutating func append(_ symbol: MergeSymbol) {
    var symbol = symbol
    let index = Int32(truncatingIfNeeded: symbols.count)
    symbol.previous = index - 1
    symbols.append(symbol)
    if index > 0 { symbols[Int(index) - 1].next = index }
  }

  /// Merges until no rule applies.
  mutating func merge(_ word: UnsafeBufferPointer<UInt8>, by rule: some MergeRule) {
    for left in 0..<max(symbols.count - 1, 0) { propose(left, word, rule) }
    while let candidate = pop() {
      let left = Int(candidate.key & 0xFFFF_FFFF)
      let right = Int(symbols[left].next)
      guard symbols[left].length > 0, right >= 0, symbols[left].length + symbols[right].length == candidate.length else {
        continue
      }
      symbols[left].id = candidate.id
      symbols[left].length = candidate.length
      symbols[right].length = 0
      let after = symbols[right].next
      symbols[left].next = after
      if after >= 0 {
        symbols[Int(after)].previous = Int32(truncatingIfNeeded: left)
        propose(left, word, rule)
      }
      if symbols[left].previous >= 0 { propose(Int(symbols[left].previous), word, rule) }
    }
  }

  @inline(__always)
  private mutating func propose(_ left: Int, _ word: UnsafeBufferPointer<UInt8>, _ rule: some MergeRule) {
    let right = Int(symbols[left].next)
    guard let merge = rule.merge(symbols[left], symbols[right], in: word) else { return }
    let length = symbols[left].length + symbols[right].length
    push(Candidate(key: UInt64(merge.rank) << 32 | UInt64(left), length: length, id: merge.id))
  }

  private mutating func push(_ candidate: Candidate) {
    heap.append(candidate)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard candidate.key < heap[parent].key else { break }
      heap[child] = heap[parent]
      child = parent
    }
    heap[child] = candidate
  }

  private mutating func pop() -> Candidate? {
    guard let last = heap.popLast() else { return nil }
    guard let top = heap.first else { return last }
    var hole = 0
    while true {
      var child = hole * 2 + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count, heap[child + 1].key < heap[child].key { child += 1 }
      guard heap[child].key < last.key else { break }
      heap[hole] = heap[child]
      hole = child
    }
    heap[hole] = last
    return top
  }
}
