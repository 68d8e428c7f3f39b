/// Finds the matches of a pattern in a text: leftmost, by the priorities of a backtracking matcher.
///
/// Each branching instruction remembers the places it has been tried at, as in RE2's bit-state matcher. A place that led nowhere
/// once leads nowhere again, whatever the start of the match was, so a search takes time in proportion to the length of the text
/// times the length of the pattern.
struct PatternMatcher {
  /// Where to go on after a failure. Between `floor` and `position` lie scalars that a run may still give back.
  private struct Choice {
    var instruction: Int
    var position: Int
    var floor: Int
  }

  private var tried: [UInt64] = []
  private var choices: [Choice] = []
  /// The marks set while a look-ahead or atomic group is at work: they are withdrawn where it succeeds.
  private var trail: [Int] = []
  private var nesting = 0

  /// Calls `body` with the bounds of each match within `text[range]`. Anchors take the range for the whole text.
  mutating func forEachMatch(
    of pattern: ScalarPattern, in text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ body: (Int, Int) -> Void
  ) {
    let program = pattern.program
    let search = Search(program: program, text: text, range: range, sets: program.sets)
    let bits = (range.count + 1) * program.memoCount
    tried.removeAll(keepingCapacity: true)
    tried.append(contentsOf: repeatElement(0, count: bits / 64 + 1))
    var start = range.lowerBound
    var lastEnd: Int?
    while start <= range.upperBound {
      guard search.canStart(at: start), let end = run(search, from: 0, at: start) else {
        start = search.next(after: start)
        continue
      }
      if end == start, lastEnd == end {
        start = search.next(after: start)
        continue
      }
      body(start, end)
      forget(at: end, search)
      lastEnd = end
      start = end
    }
  }

  /// Withdraws the marks at the end of a match, the one place that both it and the next search may pass.
  private mutating func forget(at position: Int, _ search: Search) {
    let count = search.program.memoCount
    let first = (position - search.range.lowerBound) * count
    for bit in first..<first + count { tried[bit >> 6] &= ~(1 << UInt64(bit & 63)) }
  }

  /// True the first time it is asked about a memo at a position.
  @inline(__always)
  private mutating func enter(_ memo: Int, _ position: Int, _ search: Search) -> Bool {
    let bit = (position - search.range.lowerBound) * search.program.memoCount + memo
    let mask: UInt64 = 1 << UInt64(bit & 63)
    guard tried[bit >> 6] & mask == 0 else { return false }
    tried[bit >> 6] |= mask
    if nesting > 0 { trail.append(bit) }
    return true
  }

  /// The end of a match of the instructions from `entry` on, at `start` exactly.
  private mutating func run(_ search: Search, from entry: Int, at start: Int) -> Int? {
    let base = choices.count
    var (instruction, position) = (entry, start)
    while true {
      var advanced = true
      switch search.program.instructions[instruction] {
      case .accept:
        choices.removeSubrange(base...)
        return position
      case .one(let set):
        if let next = search.step(over: set, at: position) { position = next } else { advanced = false }
        instruction += 1
      case .jump(let target): instruction = target
      case .split(let first, let second, let memo):
        advanced = enter(memo, position, search)
        if advanced { choices.append(Choice(instruction: second, position: position, floor: position)) }
        instruction = first
      case .run(let set, let memo, let givesBack):
        let floor = position
        advanced = enter(memo, position, search)
        while advanced, let next = search.step(over: set, at: position) {
          position = next
          if !enter(memo, position, search) { break }
        }
        if givesBack, position > floor {
          let before = UTF8Scalars.boundary(before: position, in: search.text)
          choices.append(Choice(instruction: instruction + 1, position: before, floor: floor))
        }
        instruction += 1
      case .anchor(let anchor):
        advanced = search.holds(anchor, at: position)
        instruction += 1
      case .peek(let set, let isNegative):
        advanced = (search.step(over: set, at: position) != nil) != isNegative
        instruction += 1
      case .look(let end, let isNegative):
        advanced = (enclosed(search, from: instruction + 1, at: position) != nil) != isNegative
        instruction = end
      case .atomic(let end):
        if let stop = enclosed(search, from: instruction + 1, at: position) { position = stop } else { advanced = false }
        instruction = end
      }
      if advanced { continue }
      guard choices.count > base else { return nil }
      (instruction, position) = retreat(search)
    }
  }

  private mutating func retreat(_ search: Search) -> (Int, Int) {
    let choice = choices.removeLast()
    if choice.position > choice.floor {
      let before = UTF8Scalars.boundary(before: choice.position, in: search.text)
      choices.append(Choice(instruction: choice.instruction, position: before, floor: choice.floor))
    }
    return (choice.instruction, choice.position)
  }

  private mutating func enclosed(_ search: Search, from instruction: Int, at position: Int) -> Int? {
    let mark = trail.count
    nesting += 1
    let end = run(search, from: instruction, at: position)
    nesting -= 1
    if end != nil {
      for bit in trail[mark...] { tried[bit >> 6] &= ~(1 << UInt64(bit & 63)) }
      trail.removeSubrange(mark...)
    } else if nesting == 0 {
      trail.removeAll(keepingCapacity: true)
    }
    return end
  }
}

/// What stays the same during a search.
private struct Search {
  let program: PatternProgram
  let text: UnsafeBufferPointer<UInt8>
  let range: Range<Int>
  let sets: [ScalarSet]
  let traits = ScalarTraits.Reader()

  func next(after position: Int) -> Int {
    position < range.upperBound ? position + UTF8Scalars.length(startingWith: text[position]) : position + 1
  }

  /// False where no match can begin with the scalar at `position`.
  @inline(__always)
  func canStart(at position: Int) -> Bool {
    if program.first.canBeEmpty { return true }
    guard position < range.upperBound else { return false }
    let byte = text[position]
    if byte >= 0x80 { return true }
    return (byte < 64 ? program.first.low >> UInt64(byte) : program.first.high >> UInt64(byte - 64)) & 1 == 1
  }

  /// The place after the scalar at `position` where it is in the set.
  @inline(__always)
  func step(over set: Int, at position: Int) -> Int? {
    guard position < range.upperBound else { return nil }
    let (value, length) = UTF8Scalars.scalar(in: text, at: position)
    return sets[set].contains(value, traits) ? position + length : nil
  }

  func holds(_ anchor: PatternNode.Anchor, at position: Int) -> Bool {
    let (isStart, isEnd) = (position == range.lowerBound, position == range.upperBound)
    switch anchor {
    case .textStart: return isStart
    case .textEnd: return isEnd
    case .textEndOrFinalNewline: return isEnd || position == range.upperBound - 1 && text[position] == 0x0A
    case .lineStart: return isStart || text[position - 1] == 0x0A && !isEnd
    case .lineEnd: return isEnd || text[position] == 0x0A
    case .wordBoundary: return isWord(before: position) != isWord(at: position)
    case .notWordBoundary: return isWord(before: position) == isWord(at: position)
    }
  }

  private func isWord(at position: Int) -> Bool {
    guard position < range.upperBound else { return false }
    return PatternParser.word.contains(UTF8Scalars.scalar(in: text, at: position).value, traits)
  }

  private func isWord(before position: Int) -> Bool {
    position > range.lowerBound && isWord(at: UTF8Scalars.boundary(before: position, in: text))
  }
}
