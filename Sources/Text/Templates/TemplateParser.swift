/// Reads the tokens of a template into statements. Expressions are read in `ExpressionParser.swift`.
struct TemplateParser {
  private let tokens: [TemplateToken]
  private var position = 0
  private var statementDepth = 0
  var expressionDepth = 0
  /// Loops that a `break` could leave: a macro or `generation` block starts anew.
  private var loopDepth = 0
  /// Filters and tests inside a condition may be unknown until they are used, as in Jinja.
  var conditionDepth = 0
  /// Names read so far, to find which special names a macro's body mentions.
  var mentioned: Set<String> = []
  /// True once a `generation` block was read.
  private var hasGeneration = false

  /// The statements of a template and whether `generation` blocks are among them.
  /// - Throws: ``TemplateError`` of kind `syntax` or `limit`.
  static func parse(_ source: String, template: String) throws -> (body: [TemplateStatement], hasGeneration: Bool) {
    var parser = TemplateParser(tokens: try TemplateLexer.tokens(of: source, template: template))
    do {
      let body = try parser.body(until: [])
      return (body, parser.hasGeneration)
    } catch let failure as TemplateFailure {
      throw TemplateError(kind: failure.kind, problem: failure.problem, line: parser.current.line, template: template)
    }
  }

  private init(tokens: [TemplateToken]) { self.tokens = tokens }

  // MARK: tokens

  var current: TemplateToken { tokens[position] }
  var next: TemplateToken { tokens[min(position + 1, tokens.count - 1)] }

  mutating func advance() { position = min(position + 1, tokens.count - 1) }

  func isSymbol(_ text: String) -> Bool { current.kind == .symbol(text) }
  func isName(_ text: String) -> Bool { current.kind == .name(text) }

  mutating func skip(symbol text: String) -> Bool {
    guard isSymbol(text) else { return false }
    advance()
    return true
  }

  mutating func skip(name text: String) -> Bool {
    guard isName(text) else { return false }
    advance()
    return true
  }

  func unexpected(_ wanted: String) -> TemplateFailure {
    TemplateFailure("expected \(wanted), found “\(current.shown)”", kind: .syntax)
  }

  mutating func expect(symbol text: String) throws {
    guard skip(symbol: text) else { throw unexpected("“\(text)”") }
  }

  mutating func expect(_ kind: TemplateToken.Kind, _ shown: String) throws {
    guard current.kind == kind else { throw unexpected("“\(shown)”") }
    advance()
  }

  mutating func name() throws -> String {
    guard case .name(let name) = current.kind else { throw unexpected("a name") }
    advance()
    return name
  }

  // MARK: bodies

  /// Statements up to a tag named in `ends`, whose name is the current token afterwards.
  private mutating func body(until ends: Set<String>) throws -> [TemplateStatement] {
    statementDepth += 1
    defer { statementDepth -= 1 }
    guard statementDepth <= TemplateLimits.statementDepth else {
      throw TemplateFailure("blocks nest deeper than \(TemplateLimits.statementDepth) levels", kind: .limit)
    }
    var statements: [TemplateStatement] = []
    while true {
      let line = current.line
      switch current.kind {
      case .data(let text):
        advance()
        statements.append(TemplateStatement(form: .text(text), line: line))
      case .variableBegin:
        advance()
        statements.append(TemplateStatement(form: .output([try tuple()]), line: line))
        try expect(.variableEnd, "}}")
      case .blockBegin:
        advance()
        if case .name(let tag) = current.kind, ends.contains(tag) { return statements }
        statements.append(TemplateStatement(form: try statement(ends: ends), line: line))
        try expect(.blockEnd, "%}")
      default:
        guard ends.isEmpty else {
          throw TemplateFailure(
            "the template ends where “\(ends.sorted().joined(separator: "” or “"))” should stand", kind: .syntax)
        }
        return statements
      }
    }
  }

  /// The rest of an opening tag, then statements up to one of `ends`, the name of which is consumed and returned.
  private mutating func block(_ ends: String...) throws -> (body: [TemplateStatement], end: String) {
    _ = skip(symbol: ":")
    try expect(.blockEnd, "%}")
    let statements = try body(until: Set(ends))
    return (statements, try name())
  }

  private mutating func statement(ends: Set<String>) throws -> TemplateStatement.Form {
    guard case .name(let tag) = current.kind else { throw unexpected("the name of a tag") }
    advance()
    switch tag {
    case "if": return try branch()
    case "for": return try loop()
    case "set": return try assignment()
    case "macro": return .macro(try macro())
    case "call": return try callBlock()
    case "filter":
      let filters = try filterChain(first: true)
      return .filterBlock(filters, try block("endfilter").body)
    case "with": return try scope()
    case "print": return .output(try printed())
    case "generation": return try generation()
    case "break", "continue":
      guard loopDepth > 0 else { throw TemplateFailure("“\(tag)” stands outside a loop", kind: .syntax) }
      return tag == "break" ? .breakLoop : .continueLoop
    case "include", "import", "from", "extends", "block":
      throw TemplateFailure("the tag “\(tag)” is not supported: a chat template stands alone", kind: .syntax)
    default:
      let wanted = ends.isEmpty ? "" : "; expected “\(ends.sorted().joined(separator: "” or “"))” or another tag"
      throw TemplateFailure("unknown tag “\(tag)”\(wanted)", kind: .syntax)
    }
  }

  // MARK: statements

  private mutating func branch() throws -> TemplateStatement.Form {
    conditionDepth += 1
    defer { conditionDepth -= 1 }
    var branches: [(test: TemplateExpression, body: [TemplateStatement])] = []
    while true {
      let test = try tuple(conditional: false)
      let (body, end) = try block("elif", "else", "endif")
      branches.append((test, body))
      switch end {
      case "elif": continue
      case "else": return .branch(branches, otherwise: try block("endif").body)
      default: return .branch(branches, otherwise: [])
      }
    }
  }

  private mutating func loop() throws -> TemplateStatement.Form {
    let target = try target(namespaces: false)
    guard skip(name: "in") else { throw unexpected("“in”") }
    let iterable = try tuple(conditional: false)
    let filter = skip(name: "if") ? try expression() : nil
    guard !isName("recursive") else { throw TemplateFailure("recursive loops are not supported", kind: .syntax) }
    loopDepth += 1
    let (body, end) = try block("endfor", "else")
    loopDepth -= 1
    let otherwise = end == "else" ? try block("endfor").body : []
    return .loop(TemplateForLoop(target: target, iterable: iterable, filter: filter, body: body, otherwise: otherwise))
  }

  private mutating func assignment() throws -> TemplateStatement.Form {
    let target = try target(namespaces: true)
    if skip(symbol: "=") { return .assign(target, try tuple()) }
    let filters = try filterChain(first: false)
    return .assignBlock(target, filters, try block("endset").body)
  }

  private mutating func scope() throws -> TemplateStatement.Form {
    var values: [(target: TemplateTarget, value: TemplateExpression)] = []
    while current.kind != .blockEnd {
      if !values.isEmpty { try expect(symbol: ",") }
      let target = try target(namespaces: false)
      try expect(symbol: "=")
      values.append((target, try expression()))
    }
    return .scope(values, try block("endwith").body)
  }

  private mutating func printed() throws -> [TemplateExpression] {
    var values: [TemplateExpression] = []
    while current.kind != .blockEnd {
      if !values.isEmpty { try expect(symbol: ",") }
      values.append(try expression())
    }
    return values
  }

  private mutating func generation() throws -> TemplateStatement.Form {
    hasGeneration = true
    return .generation(try outsideLoops { parser in try parser.block("endgeneration").body })
  }

  private mutating func outsideLoops<Result>(_ read: (inout TemplateParser) throws -> Result) throws -> Result {
    let outer = loopDepth
    loopDepth = 0
    defer { loopDepth = outer }
    return try read(&self)
  }

  private mutating func macro() throws -> TemplateMacroDefinition {
    let name = try name()
    let parameters = try signature()
    return try definition(name, parameters, end: "endmacro")
  }

  private mutating func callBlock() throws -> TemplateStatement.Form {
    let parameters = isSymbol("(") ? try signature() : []
    let call = try expression()
    guard case .call = call.form else { throw TemplateFailure("“call” must be followed by the call of a macro", kind: .syntax) }
    return .callBlock(call: call, try definition("caller", parameters, end: "endcall"))
  }

  private mutating func definition(
    _ name: String, _ parameters: [(name: String, fallback: TemplateExpression?)], end: String
  ) throws -> TemplateMacroDefinition {
    let outer = mentioned
    mentioned = []
    let body = try outsideLoops { parser in try parser.block(end).body }
    let specials = mentioned.intersection(["varargs", "kwargs", "caller"]).subtracting(parameters.map(\.name))
    mentioned.formUnion(outer)
    return TemplateMacroDefinition(name: name, parameters: parameters, body: body, specials: specials)
  }

  private mutating func signature() throws -> [(name: String, fallback: TemplateExpression?)] {
    var parameters: [(name: String, fallback: TemplateExpression?)] = []
    try expect(symbol: "(")
    while !isSymbol(")") {
      if !parameters.isEmpty { try expect(symbol: ",") }
      let name = try name()
      let fallback = skip(symbol: "=") ? try expression() : nil
      guard fallback != nil || parameters.last?.fallback == nil else {
        throw TemplateFailure("the parameter “\(name)” without a default follows one with a default", kind: .syntax)
      }
      parameters.append((name, fallback))
    }
    try expect(symbol: ")")
    return parameters
  }

  // MARK: targets

  /// What `set`, `for` or `with` assigns to.
  private mutating func target(namespaces: Bool) throws -> TemplateTarget {
    var targets: [TemplateTarget] = []
    var isTuple = false
    repeat {
      if isSymbol(")") || isName("in") || isSymbol("=") || current.kind == .blockEnd { break }
      targets.append(try singleTarget(namespaces: namespaces))
      guard skip(symbol: ",") else { break }
      isTuple = true
    } while true
    guard let first = targets.first else { throw unexpected("a name to assign to") }
    return isTuple ? .tuple(targets) : first
  }

  private mutating func singleTarget(namespaces: Bool) throws -> TemplateTarget {
    expressionDepth += 1
    defer { expressionDepth -= 1 }
    guard expressionDepth <= TemplateLimits.bracketDepth else {
      throw TemplateFailure("an assignment nests deeper than \(TemplateLimits.bracketDepth) levels", kind: .limit)
    }
    if skip(symbol: "(") {
      let inner = try target(namespaces: namespaces)
      try expect(symbol: ")")
      return inner
    }
    let name = try name()
    guard !["true", "false", "none", "True", "False", "None"].contains(name) else {
      throw TemplateFailure("cannot assign to “\(name)”", kind: .syntax)
    }
    if namespaces, skip(symbol: ".") {
      mentioned.insert(name)
      return .attribute(of: name, name: try self.name())
    }
    return .name(name)
  }
}
