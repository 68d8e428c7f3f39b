extension PatternParser {
  /// The set of one scalar, with its other cases where case is folded.
  func literal(_ value: UInt32) -> ScalarSet { ScalarSet(foldsCase ? PatternParser.cases(of: value) : [value]) }

  /// A scalar and those that differ from it in case only (simple folding).
  private static func cases(of value: UInt32) -> [UInt32] {
    guard let scalar = Unicode.Scalar(value) else { return [value] }
    var found = [value]
    for mapping in [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping] {
      let scalars = mapping.unicodeScalars
      if let only = scalars.first, scalars.count == 1, !found.contains(only.value) { found.append(only.value) }
    }
    let beyondASCII: [Unicode.Scalar: UInt32] = ["s": 0x17F, "S": 0x17F, "k": 0x212A, "K": 0x212A]
    if let other = beyondASCII[scalar] { found.append(other) }
    return found
  }

  /// What a backslash, already read, stands for where it is a set.
  mutating func setEscape() throws(PatternError) -> ScalarSet {
    guard let kind = next else { throw error("the pattern ends in a backslash") }
    position += 1
    switch kind {
    case "s": return .whitespace
    case "S": return ScalarSet.whitespace.inverted
    case "d": return PatternParser.digits
    case "D": return PatternParser.digits.inverted
    case "w": return PatternParser.word
    case "W": return PatternParser.word.inverted
    case "h": return PatternParser.hexadecimal
    case "H": return PatternParser.hexadecimal.inverted
    case "p": return try property(isNegated: false)
    case "P": return try property(isNegated: true)
    default:
      position -= 1
      return literal(try scalarEscape())
    }
  }

  private static let digits = ScalarSet(traits: ScalarTraits.category("Nd") ?? [])
  private static let hexadecimal = ScalarSet(ranges: [0x30...0x39, 0x41...0x46, 0x61...0x66])
  /// `\w`: letters, marks, decimal digits, connectors, whatever else is alphabetic, and, in Oniguruma, the numbers of Latin-1.
  static let word = ScalarSet(
    traits: [.alphabetic, .mark, ScalarTraits.category("Nd") ?? [], ScalarTraits.category("Pc") ?? []],
    ranges: [0xB2...0xB3, 0xB9...0xB9, 0xBC...0xBE])

  /// What a backslash, already read, stands for where it is one scalar.
  private mutating func scalarEscape() throws(PatternError) -> UInt32 {
    guard let kind = next else { throw error("the pattern ends in a backslash") }
    position += 1
    switch kind {
    case "n": return 0x0A
    case "r": return 0x0D
    case "t": return 0x09
    case "f": return 0x0C
    case "v": return 0x0B
    case "a": return 0x07
    case "e": return 0x1B
    case "u": return try hexadecimalValue(digits: 4...4)
    case "x":
      guard take("{") else { return try hexadecimalValue(digits: 1...2) }
      let value = try hexadecimalValue(digits: 1...6)
      guard take("}") else { throw error("“\\x{” is not closed") }
      return value
    default:
      let isWordlike = kind.isASCII && kind.properties.isAlphabetic || ("0"..."9").contains(kind)
      guard !isWordlike else { throw error("“\\\(kind)” is not supported") }
      return kind.value
    }
  }

  private mutating func hexadecimalValue(digits: ClosedRange<Int>) throws(PatternError) -> UInt32 {
    var (value, count) = (UInt32(0), 0)
    while count < digits.upperBound, let digit = next.flatMap({ Character($0).hexDigitValue }) {
      value = value << 4 | UInt32(digit)
      position += 1
      count += 1
    }
    guard count >= digits.lowerBound, Unicode.Scalar(value) != nil else { throw error("not the number of a scalar") }
    return value
  }

  /// `{Name}` or `{^Name}` after `\p`.
  private mutating func property(isNegated: Bool) throws(PatternError) -> ScalarSet {
    guard take("{") else { throw error("“\\p” needs a name in braces") }
    let negated = isNegated != take("^")
    var name = ""
    while let scalar = next, scalar != "}" {
      name.unicodeScalars.append(scalar)
      position += 1
    }
    guard take("}") else { throw error("“\\p{” is not closed") }
    guard let set = PatternParser.property(named: name) else { throw error("the property “\(name)” is not supported") }
    return negated ? set.inverted : set
  }

  private static func property(named name: String) -> ScalarSet? {
    if let category = ScalarTraits.category(name) { return ScalarSet(traits: category) }
    let plain = name.lowercased().filter { $0 != "_" && $0 != " " && $0 != "-" }
    let traits: ScalarTraits? =
      switch plain {
      case "letter": .letter
      case "mark": .mark
      case "number": .number
      case "punctuation": .punctuation
      case "symbol": .symbol
      case "alphabetic", "alpha": .alphabetic
      case "whitespace", "space": .whitespace
      default: nil
      }
    if let traits { return ScalarSet(traits: traits) }
    return Scripts.ranges(of: plain).map { ScalarSet(ranges: $0) }
  }

  /// A class whose opening bracket is read already.
  mutating func characterClass(depth: Int = 0) throws(PatternError) -> ScalarSet {
    guard depth < 16 else { throw error("more than 16 nested classes") }
    let isInverted = take("^")
    var (members, required): ([ScalarSet], [ScalarSet]) = ([], [])
    var isFirst = true
    while true {
      guard let scalar = next else { throw error("a class is not closed") }
      position += 1
      if scalar == "]", !isFirst { break }
      isFirst = false
      if scalar == "&", take("&") {
        required.append(ScalarSet(subsets: members))
        members = []
      } else if scalar == "[" {
        guard next != ":" else { throw error("POSIX brackets are not supported") }
        members.append(try characterClass(depth: depth + 1))
      } else {
        members.append(try member(startingWith: scalar))
      }
    }
    return ScalarSet(subsets: members, required: required, isInverted: isInverted)
  }

  /// A scalar, a range or an escape inside a class, whose first scalar is read already.
  private mutating func member(startingWith scalar: Unicode.Scalar) throws(PatternError) -> ScalarSet {
    var lower = scalar.value
    if scalar == "\\" {
      if let kind = next, "sSdDwWhHpP".unicodeScalars.contains(kind) { return try setEscape() }
      lower = try classScalarEscape()
    }
    guard next == "-", position + 1 < scalars.count, scalars[position + 1] != "]" else { return literal(lower) }
    position += 1
    guard let end = next, end != "[" else { throw error("a range ends in a class") }
    position += 1
    let upper = end == "\\" ? try classScalarEscape() : end.value
    guard lower <= upper else { throw error("a range runs backwards") }
    guard foldsCase else { return ScalarSet(ranges: [lower...upper]) }
    guard upper - lower < 0x400 else { throw error("a range this wide is not supported where case is folded") }
    return ScalarSet(ranges: [lower...upper], subsets: [ScalarSet((lower...upper).flatMap { PatternParser.cases(of: $0) })])
  }

  /// As outside a class, except that `\b` is a backspace.
  private mutating func classScalarEscape() throws(PatternError) -> UInt32 { take("b") ? 0x08 : try scalarEscape() }
}
