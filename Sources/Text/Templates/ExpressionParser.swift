extension TemplateParser {
  /// An expression; `conditional` allows `a if b else c` at its top.
  mutating func expression(conditional: Bool = true) throws -> TemplateExpression {
    expressionDepth += 1
    defer { expressionDepth -= 1 }
    guard expressionDepth <= TemplateLimits.bracketDepth else {
      throw TemplateFailure("an expression nests deeper than \(TemplateLimits.bracketDepth) levels", kind: .limit)
    }
    var value = try either()
    while conditional, isName("if") {
      let line = current.line
      advance()
      conditionDepth += 1
      defer { conditionDepth -= 1 }
      let test = try either()
      let otherwise = skip(name: "else") ? try expression() : nil
      value = try TemplateExpression(.conditional(test: test, then: value, otherwise: otherwise), line: line)
    }
    return value
  }

  /// One expression, or a tuple without parentheses.
  mutating func tuple(conditional: Bool = true, parenthesized: Bool = false) throws -> TemplateExpression {
    let line = current.line
    var items: [TemplateExpression] = []
    var isTuple = false
    while !endsTuple {
      items.append(try expression(conditional: conditional))
      guard skip(symbol: ",") else { break }
      isTuple = true
    }
    if !isTuple, let only = items.first { return only }
    guard isTuple || parenthesized else { throw unexpected("an expression") }
    return try TemplateExpression(.tuple(items), line: line)
  }

  private var endsTuple: Bool { current.kind == .variableEnd || current.kind == .blockEnd || isSymbol(")") }

  // MARK: operators, loosest first

  private mutating func either() throws -> TemplateExpression {
    var left = try both()
    while isName("or") {
      let line = current.line
      advance()
      left = try TemplateExpression(.either(left, try both()), line: line)
    }
    return left
  }

  private mutating func both() throws -> TemplateExpression {
    var left = try negation()
    while isName("and") {
      let line = current.line
      advance()
      left = try TemplateExpression(.both(left, try negation()), line: line)
    }
    return left
  }

  private mutating func negation() throws -> TemplateExpression {
    var lines: [Int] = []
    while isName("not") {
      lines.append(current.line)
      advance()
    }
    var value = try comparison()
    for line in lines.reversed() { value = try TemplateExpression(.unary(.not, value), line: line) }
    return value
  }

  private mutating func comparison() throws -> TemplateExpression {
    let line = current.line
    let first = try sum()
    var rest: [(test: TemplateComparison, operand: TemplateExpression)] = []
    while let test = comparisonOperator() { rest.append((test, try sum())) }
    return rest.isEmpty ? first : try TemplateExpression(.comparison(first, rest), line: line)
  }

  private mutating func comparisonOperator() -> TemplateComparison? {
    var found: TemplateComparison?
    switch current.kind {
    case .symbol(let text): found = TemplateComparison(rawValue: text)
    case .name("in"): found = .contained
    case .name("not") where next.kind == .name("in"):
      advance()
      found = .notContained
    default: break
    }
    if found != nil { advance() }
    return found
  }

  private mutating func binary(
    _ operators: [String], _ operand: (inout TemplateParser) throws -> TemplateExpression
  ) throws -> TemplateExpression {
    var left = try operand(&self)
    while case .symbol(let text) = current.kind, operators.contains(text), let sign = TemplateBinaryOperator(rawValue: text) {
      let line = current.line
      advance()
      left = try TemplateExpression(.binary(sign, left, try operand(&self)), line: line)
    }
    return left
  }

  private mutating func sum() throws -> TemplateExpression { try binary(["+", "-"]) { try $0.concatenation() } }

  private mutating func concatenation() throws -> TemplateExpression {
    let line = current.line
    var parts = [try product()]
    while skip(symbol: "~") { parts.append(try product()) }
    return parts.count == 1 ? parts[0] : try TemplateExpression(.concatenation(parts), line: line)
  }

  private mutating func product() throws -> TemplateExpression { try binary(["*", "/", "//", "%"]) { try $0.power() } }

  private mutating func power() throws -> TemplateExpression { try binary(["**"]) { try $0.unary() } }

  private mutating func unary() throws -> TemplateExpression {
    var signs: [(TemplateUnaryOperator, Int)] = []
    while isSymbol("-") || isSymbol("+") {
      signs.append((isSymbol("-") ? .minus : .plus, current.line))
      advance()
    }
    var value = try postfix(try primary())
    for (sign, line) in signs.reversed() { value = try postfix(try TemplateExpression(.unary(sign, value), line: line)) }
    return try filtered(value)
  }
}
