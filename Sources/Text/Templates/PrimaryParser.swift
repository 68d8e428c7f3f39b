extension TemplateParser {
  /// A name, a literal or something in brackets.
  mutating func primary() throws -> TemplateExpression {
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
