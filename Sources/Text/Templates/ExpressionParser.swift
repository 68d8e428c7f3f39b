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

  // MARK: what follows a value

  private mutating func postfix(_ start: TemplateExpression) throws -> TemplateExpression {
    var value = start
    while true {
      let line = current.line
      if skip(symbol: ".") {
        value = try attribute(of: value, line: line)
      } else if skip(symbol: "[") {
        value = try subscripted(value, line: line)
      } else if isSymbol("(") {
        value = try TemplateExpression(.call(value, try callArguments()), line: line)
      } else {
        return value
      }
    }
  }

  private mutating func attribute(of owner: TemplateExpression, line: Int) throws -> TemplateExpression {
    if case .integer(let index) = current.kind {
      advance()
      return try TemplateExpression(.item(owner, try TemplateExpression(.constant(.int(index)), line: line)), line: line)
    }
    return try TemplateExpression(.attribute(owner, try name()), line: line)
  }

  private mutating func subscripted(_ owner: TemplateExpression, line: Int) throws -> TemplateExpression {
    let start = isSymbol(":") ? nil : try expression()
    guard skip(symbol: ":") else {
      guard let start else { throw unexpected("an index") }
      guard !isSymbol(",") else { throw TemplateFailure("an index of several parts is not supported", kind: .syntax) }
      try expect(symbol: "]")
      return try TemplateExpression(.item(owner, start), line: line)
    }
    let end = isSymbol(":") || isSymbol("]") ? nil : try expression()
    let step = skip(symbol: ":") && !isSymbol("]") ? try expression() : nil
    try expect(symbol: "]")
    return try TemplateExpression(.slice(owner, TemplateSlice(start: start, end: end, step: step)), line: line)
  }

  private mutating func filtered(_ start: TemplateExpression) throws -> TemplateExpression {
    var value = start
    while true {
      let line = current.line
      if skip(symbol: "|") {
        value = try TemplateExpression(.filter(value, try filterCall()), line: line)
      } else if skip(name: "is") {
        value = try test(of: value, line: line)
      } else if isSymbol("(") {
        value = try TemplateExpression(.call(value, try callArguments()), line: line)
      } else {
        return value
      }
    }
  }

  /// The filters of a `filter` or `set` block.
  mutating func filterChain(first: Bool) throws -> [TemplateFilterCall] {
    var calls: [TemplateFilterCall] = first ? [try filterCall()] : []
    while skip(symbol: "|") { calls.append(try filterCall()) }
    return calls
  }

  private mutating func filterCall() throws -> TemplateFilterCall {
    let line = current.line
    let name = try dottedName()
    guard conditionDepth > 0 || TemplateFilters.all[name] != nil else {
      throw TemplateFailure("there is no filter “\(name)”", kind: .syntax)
    }
    return TemplateFilterCall(name: name, arguments: isSymbol("(") ? try callArguments() : .init(), line: line)
  }

  private mutating func dottedName() throws -> String {
    var name = try name()
    while skip(symbol: ".") { name += "." + (try self.name()) }
    return name
  }

  private mutating func test(of value: TemplateExpression, line: Int) throws -> TemplateExpression {
    let negated = skip(name: "not")
    let name = try dottedName()
    guard conditionDepth > 0 || TemplateTests.all[name] != nil else {
      throw TemplateFailure("there is no test “\(name)”", kind: .syntax)
    }
    var arguments = TemplateCallArguments()
    if isSymbol("(") {
      arguments = try callArguments()
    } else if startsTestArgument {
      guard !isName("is") else { throw TemplateFailure("tests with “is” cannot be chained", kind: .syntax) }
      arguments.positional = [try postfix(try primary())]
    }
    let test = try TemplateExpression(.test(value, TemplateFilterCall(name: name, arguments: arguments, line: line)), line: line)
    return negated ? try TemplateExpression(.unary(.not, test), line: line) : test
  }

  private var startsTestArgument: Bool {
    switch current.kind {
    case .name(let name): !["else", "or", "and"].contains(name)
    case .string, .integer, .double, .symbol("["), .symbol("{"): true
    default: false
    }
  }

  private mutating func callArguments() throws -> TemplateCallArguments {
    var arguments = TemplateCallArguments()
    try expect(symbol: "(")
    var isFirst = true
    while !isSymbol(")") {
      if !isFirst {
        try expect(symbol: ",")
        if isSymbol(")") { break }
      }
      isFirst = false
      try argument(into: &arguments)
    }
    try expect(symbol: ")")
    return arguments
  }

  private mutating func argument(into arguments: inout TemplateCallArguments) throws {
    let misplaced = TemplateFailure("the arguments of a call stand in the wrong order", kind: .syntax)
    guard arguments.unpackedNamed == nil else { throw misplaced }
    if skip(symbol: "*") {
      guard arguments.unpacked == nil else { throw misplaced }
      arguments.unpacked = try expression()
    } else if skip(symbol: "**") {
      arguments.unpackedNamed = try expression()
    } else if case .name(let name) = current.kind, next.kind == .symbol("=") {
      advance()
      advance()
      guard !arguments.named.contains(where: { $0.name == name }) else {
        throw TemplateFailure("the argument “\(name)” is given twice", kind: .syntax)
      }
      arguments.named.append((name, try expression()))
    } else {
      guard arguments.unpacked == nil, arguments.named.isEmpty else { throw misplaced }
      arguments.positional.append(try expression())
    }
  }

  // MARK: values

  private mutating func primary() throws -> TemplateExpression {
    let line = current.line
    let form: TemplateExpression.Form
    switch current.kind {
    case .name(let name):
      advance()
      form = named(name)
    case .string(let text):
      advance()
      form = .constant(.string(joinedStrings(after: text)))
    case .integer(let value):
      advance()
      form = .constant(.int(value))
    case .double(let value):
      advance()
      form = .constant(.double(value))
    case .symbol("("):
      advance()
      let inner = try tuple(parenthesized: true)
      try expect(symbol: ")")
      return inner
    case .symbol("["): form = .list(try list())
    case .symbol("{"): form = .dict(try dict())
    default: throw unexpected("an expression")
    }
    return try TemplateExpression(form, line: line)
  }

  private mutating func named(_ name: String) -> TemplateExpression.Form {
    switch name {
    case "true", "True": return .constant(.bool(true))
    case "false", "False": return .constant(.bool(false))
    case "none", "None": return .constant(.none)
    default:
      mentioned.insert(name)
      return .name(name)
    }
  }

  /// String literals that follow one another are one.
  private mutating func joinedStrings(after first: String) -> String {
    var joined = first
    while case .string(let text) = current.kind {
      joined += text
      advance()
    }
    return joined
  }

  private mutating func list() throws -> [TemplateExpression] {
    try expect(symbol: "[")
    var items: [TemplateExpression] = []
    while !isSymbol("]") {
      if !items.isEmpty {
        try expect(symbol: ",")
        if isSymbol("]") { break }
      }
      items.append(try expression())
    }
    try expect(symbol: "]")
    return items
  }

  private mutating func dict() throws -> [(key: TemplateExpression, value: TemplateExpression)] {
    try expect(symbol: "{")
    var pairs: [(key: TemplateExpression, value: TemplateExpression)] = []
    while !isSymbol("}") {
      if !pairs.isEmpty {
        try expect(symbol: ",")
        if isSymbol("}") { break }
      }
      let key = try expression()
      try expect(symbol: ":")
      pairs.append((key, try expression()))
    }
    try expect(symbol: "}")
    return pairs
  }
}
