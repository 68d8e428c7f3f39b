extension TemplateParser {
  /// A value with the attributes, indices and calls that follow it.
  mutating func postfix(_ start: TemplateExpression) throws -> TemplateExpression {
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

  /// A value with the filters and tests that follow it.
  mutating func filtered(_ start: TemplateExpression) throws -> TemplateExpression {
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

  mutating func callArguments() throws -> TemplateCallArguments {
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
}
