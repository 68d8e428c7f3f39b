/// Reads a regular expression in the syntax of Oniguruma into a tree.
struct PatternParser {
  private static let maximumDepth = 64
  let scalars: [Unicode.Scalar]
  var position = 0
  var foldsCase = false
  var dotMatchesNewline = false
  private var depth = 0

  init(_ expression: String) { scalars = Array(expression.unicodeScalars) }

  var next: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

  func error(_ problem: String) -> PatternError { PatternError(problem: "\(problem), at scalar \(position) of the pattern") }

  mutating func take(_ text: String) -> Bool {
    let wanted = Array(text.unicodeScalars)
    guard scalars.dropFirst(position).prefix(wanted.count).elementsEqual(wanted) else { return false }
    position += wanted.count
    return true
  }

  mutating func parse() throws(PatternError) -> PatternNode {
    let node = try alternatives()
    guard next == nil else { throw error("a “)” without its “(”") }
    return node
  }

  private mutating func alternatives() throws(PatternError) -> PatternNode {
    depth += 1
    defer { depth -= 1 }
    guard depth <= PatternParser.maximumDepth else { throw error("more than \(PatternParser.maximumDepth) nested groups") }
    var nodes = [try sequence()]
    while take("|") { nodes.append(try sequence()) }
    return nodes.count == 1 ? nodes[0] : .alternatives(nodes)
  }

  private mutating func sequence() throws(PatternError) -> PatternNode {
    var nodes: [PatternNode] = []
    while let scalar = next, scalar != "|", scalar != ")" {
      if let node = try item() { nodes.append(try repeated(node)) }
    }
    return nodes.count == 1 ? nodes[0] : .sequence(nodes)
  }

  /// One item without its quantifier; nil for a group that only sets options.
  private mutating func item() throws(PatternError) -> PatternNode? {
    guard let scalar = next else { throw error("the pattern ends too early") }
    position += 1
    switch scalar {
    case "(": return try group()
    case "[": return .set(try characterClass())
    case ".":
      return .set(dotMatchesNewline ? ScalarSet().inverted : ScalarSet([0x0A]).inverted)
    case "^": return .anchor(.lineStart)
    case "$": return .anchor(.lineEnd)
    case "*", "+", "?":
      position -= 1
      throw error("“\(scalar)” has nothing to repeat")
    case "\\":
      if let anchor = anchorEscape() { return .anchor(anchor) }
      return .set(try setEscape())
    default: return .set(literal(scalar.value))
    }
  }

  private mutating func anchorEscape() -> PatternNode.Anchor? {
    guard let kind = next else { return nil }
    let anchor: PatternNode.Anchor? =
      switch kind {
      case "A": .textStart
      case "z": .textEnd
      case "Z": .textEndOrFinalNewline
      case "b": .wordBoundary
      case "B": .notWordBoundary
      default: nil
      }
    if anchor != nil { position += 1 }
    return anchor
  }

  private mutating func group() throws(PatternError) -> PatternNode? {
    if take("?:") { return try enclosed() }
    if take("?=") { return .lookahead(try enclosed(), isNegative: false) }
    if take("?!") { return .lookahead(try enclosed(), isNegative: true) }
    if take("?>") { return .atomic(try enclosed()) }
    if take("?<=") || take("?<!") { throw error("look-behind is not supported") }
    if take("?<") {
      while let scalar = next, scalar != ">" { position += scalar == ")" ? scalars.count : 1 }
      guard take(">") else { throw error("a group's name is not closed") }
      return try enclosed()
    }
    guard take("?") else { return try enclosed() }
    return try options()
  }

  private mutating func enclosed() throws(PatternError) -> PatternNode {
    let (fold, dot) = (foldsCase, dotMatchesNewline)
    let node = try alternatives()
    (foldsCase, dotMatchesNewline) = (fold, dot)
    guard take(")") else { throw error("a group is not closed") }
    return node
  }

  /// `(?i:…)`, `(?m-i:…)`, or `(?i)` for the rest of the group.
  private mutating func options() throws(PatternError) -> PatternNode? {
    let before = (foldsCase, dotMatchesNewline)
    var value = true
    while let scalar = next, scalar != ":", scalar != ")" {
      position += 1
      switch scalar {
      case "-": value = false
      case "i": foldsCase = value
      case "m": dotMatchesNewline = value
      default: throw error("the group option “\(scalar)” is not supported")
      }
    }
    if take(")") { return nil }
    guard take(":") else { throw error("a group's options are not closed") }
    let node = try alternatives()
    (foldsCase, dotMatchesNewline) = before
    guard take(")") else { throw error("a group is not closed") }
    return node
  }

  private mutating func repeated(_ node: PatternNode) throws(PatternError) -> PatternNode {
    var node = node
    var count = 0
    while let (least, most, isInterval) = try quantifier() {
      count += 1
      guard count <= 4 else { throw error("too many quantifiers in a row") }
      var greed = PatternNode.Greed.greedy
      if take("?") {
        greed = .lazy
      } else if !isInterval, take("+") {
        greed = .possessive
      }
      node = .repetition(node, least: least, most: most, greed)
    }
    return node
  }

  private mutating func quantifier() throws(PatternError) -> (least: Int, most: Int?, isInterval: Bool)? {
    if take("*") { return (0, nil, false) }
    if take("+") { return (1, nil, false) }
    if take("?") { return (0, 1, false) }
    let start = position
    guard take("{") else { return nil }
    let least = try number()
    let most = take(",") ? try number() : least
    guard take("}"), least != nil || most != nil else {
      position = start  // a literal brace
      return nil
    }
    if let least, let most, least > most { throw error("the interval {\(least),\(most)} is empty") }
    return (least ?? 0, most, true)
  }

  private mutating func number() throws(PatternError) -> Int? {
    var value: Int?
    while let scalar = next, ("0"..."9").contains(scalar) {
      value = (value ?? 0) * 10 + Int(scalar.value - 48)
      guard let found = value, found <= 1000 else { throw error("more than 1000 repetitions") }
      position += 1
    }
    return value
  }
}
