/// A regular expression as instructions for ``PatternMatcher``.
struct PatternProgram: Sendable, Hashable {
  enum Instruction: Sendable, Hashable {
    /// Consumes one scalar of a set.
    case one(set: Int)
    /// Consumes scalars of a set as long as there are any, and gives them back one by one where what follows fails.
    case run(set: Int, memo: Int, givesBack: Bool)
    /// Goes on at `first`; where that fails, at `second`.
    case split(first: Int, second: Int, memo: Int)
    case jump(Int)
    case anchor(PatternNode.Anchor)
    /// Whether the next scalar is of a set, without consuming it; false at the end of the text.
    case peek(set: Int, isNegative: Bool)
    /// Runs the instructions up to an `accept` before `end` on their own, then goes on at `end` from where it stood.
    case look(end: Int, isNegative: Bool)
    /// The same, but goes on from where they stopped.
    case atomic(end: Int)
    case accept
  }

  static let maximumLength = 20_000
  /// The matcher's memory is one bit for each memo and byte of text. Real patterns have about 30 memos.
  static let maximumMemoCount = 500
  private(set) var instructions: [Instruction] = []
  private(set) var sets: [ScalarSet] = []
  /// How many instructions remember the places they failed at.
  private(set) var memoCount = 0
  /// The ASCII scalars that a match can begin with.
  let first: (low: UInt64, high: UInt64, canBeEmpty: Bool)

  static func == (left: PatternProgram, right: PatternProgram) -> Bool {
    left.instructions == right.instructions && left.sets == right.sets
  }

  func hash(into hasher: inout Hasher) { hasher.combine(instructions) }

  init(_ node: PatternNode) throws(PatternError) {
    first = node.first
    try compile(node, isLast: true)
    try emit(.accept)
  }

  private mutating func emit(_ instruction: Instruction) throws(PatternError) {
    guard instructions.count < PatternProgram.maximumLength else { throw PatternError(problem: "the pattern is too large") }
    instructions.append(instruction)
  }

  private mutating func memo() throws(PatternError) -> Int {
    guard memoCount < PatternProgram.maximumMemoCount else { throw PatternError(problem: "the pattern has too many branches") }
    memoCount += 1
    return memoCount - 1
  }

  private mutating func index(of set: ScalarSet) -> Int {
    if let known = sets.firstIndex(of: set) { return known }
    sets.append(set)
    return sets.count - 1
  }

  /// - Parameter isLast: nothing follows the node but the end of the pattern, so a match of it is a match.
  private mutating func compile(_ node: PatternNode, isLast: Bool) throws(PatternError) {
    switch node {
    case .set(let set): try emit(.one(set: index(of: set)))
    case .anchor(let anchor): try emit(.anchor(anchor))
    case .sequence(let nodes):
      for (place, node) in nodes.enumerated() {
        try compile(node, isLast: isLast && nodes[(place + 1)...].allSatisfy(\.alwaysMatches))
      }
    case .alternatives(let nodes): try compileAlternatives(nodes, isLast: isLast)
    case .repetition(let node, let least, let most, let greed):
      var isSet = false
      if case .set = node { isSet = true }
      guard greed == .possessive, !(isSet && most == nil) else {
        return try compileRepetition(node, least, most, isLazy: greed == .lazy, isLast: isLast || greed == .possessive)
      }
      try compileEnclosed({ .atomic(end: $0) }, .repetition(node, least: least, most: most, .greedy))
    case .lookahead(.set(let set), let isNegative): try emit(.peek(set: index(of: set), isNegative: isNegative))
    case .lookahead(let node, let isNegative): try compileEnclosed({ .look(end: $0, isNegative: isNegative) }, node)
    case .atomic(let node): try compileEnclosed({ .atomic(end: $0) }, node)
    }
  }

  private mutating func compileEnclosed(_ opening: (Int) -> Instruction, _ node: PatternNode) throws(PatternError) {
    let start = instructions.count
    try emit(.accept)
    try compile(node, isLast: true)
    try emit(.accept)
    instructions[start] = opening(instructions.count)
  }

  private mutating func compileAlternatives(_ nodes: [PatternNode], isLast: Bool) throws(PatternError) {
    var jumps: [Int] = []
    for (place, node) in nodes.enumerated() {
      let split = instructions.count
      let isFinal = place == nodes.count - 1
      if !isFinal { try emit(.accept) }
      try compile(node, isLast: isLast)
      guard !isFinal else { break }
      jumps.append(instructions.count)
      try emit(.accept)
      instructions[split] = .split(first: split + 1, second: instructions.count, memo: try memo())
    }
    for jump in jumps { instructions[jump] = .jump(instructions.count) }
  }

  private mutating func compileRepetition(
    _ node: PatternNode, _ least: Int, _ most: Int?, isLazy: Bool, isLast: Bool
  ) throws(PatternError) {
    for _ in 0..<least {
      let start = instructions.count
      try compile(node, isLast: false)
      if instructions.count == start { break }  // copies of nothing
    }
    if let most {
      try compileOptional(node, count: most - least, isLazy: isLazy, isLast: isLast)
    } else if case .set(let set) = node, !isLazy {
      try emit(.run(set: index(of: set), memo: try memo(), givesBack: !isLast))
    } else {
      let split = instructions.count
      try emit(.accept)
      try compile(node, isLast: false)
      try emit(.jump(split))
      instructions[split] = PatternProgram.split(split + 1, instructions.count, isLazy: isLazy, memo: try memo())
    }
  }

  /// Up to `count` more copies, each within the one before it.
  private mutating func compileOptional(_ node: PatternNode, count: Int, isLazy: Bool, isLast: Bool) throws(PatternError) {
    var splits: [Int] = []
    for _ in 0..<count {
      splits.append(instructions.count)
      try emit(.accept)
      try compile(node, isLast: isLast && count == 1)
    }
    for split in splits {
      instructions[split] = PatternProgram.split(split + 1, instructions.count, isLazy: isLazy, memo: try memo())
    }
  }

  private static func split(_ body: Int, _ exit: Int, isLazy: Bool, memo: Int) -> Instruction {
    isLazy ? .split(first: exit, second: body, memo: memo) : .split(first: body, second: exit, memo: memo)
  }
}
