/// A regular expression as a tree.
indirect enum PatternNode: Sendable, Hashable {
  case set(ScalarSet)
  case sequence([PatternNode])
  case alternatives([PatternNode])
  case repetition(PatternNode, least: Int, most: Int?, Greed)
  /// Looks at what follows without consuming it.
  case lookahead(PatternNode, isNegative: Bool)
  /// A group that is not entered again once it has matched.
  case atomic(PatternNode)
  case anchor(Anchor)

  enum Greed: Sendable { case greedy, lazy, possessive }

  enum Anchor: Sendable {
    case textStart, textEnd, textEndOrFinalNewline, lineStart, lineEnd, wordBoundary, notWordBoundary
  }

  /// True where the node can match nothing whatever the text is, so that what follows it decides.
  var alwaysMatches: Bool {
    switch self {
    case .set, .lookahead, .anchor: false
    case .sequence(let nodes): nodes.allSatisfy(\.alwaysMatches)
    case .alternatives(let nodes): nodes.contains(where: \.alwaysMatches)
    case .repetition(let node, let least, _, _): least == 0 || node.alwaysMatches
    case .atomic(let node): node.alwaysMatches
    }
  }

  /// The ASCII scalars that a match may begin with, and whether one may consume nothing.
  var first: (low: UInt64, high: UInt64, canBeEmpty: Bool) {
    switch self {
    case .set(let set): return (set.ascii.low, set.ascii.high, false)
    case .lookahead, .anchor: return (0, 0, true)
    case .atomic(let node): return node.first
    case .repetition(let node, let least, _, _):
      let inner = node.first
      return (inner.low, inner.high, inner.canBeEmpty || least == 0)
    case .alternatives(let nodes):
      return nodes.map(\.first).reduce((0, 0, nodes.isEmpty)) { ($0.0 | $1.low, $0.1 | $1.high, $0.2 || $1.canBeEmpty) }
    case .sequence(let nodes):
      var (low, high) = (UInt64(0), UInt64(0))
      for inner in nodes.map(\.first) {
        (low, high) = (low | inner.low, high | inner.high)
        if !inner.canBeEmpty { return (low, high, false) }
      }
      return (low, high, true)
    }
  }
}
