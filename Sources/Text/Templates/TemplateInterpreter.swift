import OrderedCollections

/// Renders the statements of a template once.
final class TemplateInterpreter {
  let budget: TemplateBudget
  let clock: TemplateClock
  var comparer: TemplateComparer { TemplateComparer(budget: budget) }

  /// The line of the construct under way, for errors.
  private(set) var line = 1
  private var scope: TemplateScope
  private var output = ""
  private var captures = 0
  private var depth = 0
  private var generationSpans: [Range<Int>] = []
  private var hidesGeneration = false
  /// Scopes and namespaces that may be part of a reference cycle.
  private var scopes: [TemplateScope] = []
  private var namespaces: [TemplateNamespace] = []

  enum Flow {
    case next
    case leaveLoop
    case nextRound
  }

  /// What a rendering gives.
  struct Result {
    let text: String
    /// UTF-8 ranges of the `generation` blocks; nil where one was rendered into a variable or macro, so that its place is unknown.
    let generationSpans: [Range<Int>]?
  }

  /// - Throws: ``TemplateError`` with the line and `template` as name.
  static func render(
    _ body: [TemplateStatement], variables: OrderedDictionary<String, JSON>, limits: TemplateLimits, clock: TemplateClock,
    template: String
  ) throws -> Result {
    let interpreter = TemplateInterpreter(limits: limits, clock: clock)
    defer { interpreter.release() }
    do {
      for (name, value) in variables { interpreter.scope.assign(name, try TemplateValue(value)) }
      _ = try interpreter.execute(body)
    } catch let failure as TemplateFailure {
      throw TemplateError(kind: failure.kind, problem: failure.problem, line: interpreter.line, template: template)
    }
    return Result(text: interpreter.output, generationSpans: interpreter.hidesGeneration ? nil : interpreter.generationSpans)
  }

  private init(limits: TemplateLimits, clock: TemplateClock) {
    budget = TemplateBudget(limits)
    self.clock = clock
    scope = TemplateScope(parent: nil)
    scopes = [scope]
  }

  private func release() {
    for scope in scopes { scope.empty() }
    for namespace in namespaces { namespace.attributes = [:] }
  }

  // MARK: state

  func at(_ line: Int) { self.line = line }

  /// Goes one level deeper; ``leave()`` comes back.
  func enter() throws {
    depth += 1
    guard depth <= TemplateLimits.evaluationDepth else {
      depth -= 1
      throw TemplateFailure("macros and blocks run deeper than \(TemplateLimits.evaluationDepth) levels", kind: .limit)
    }
  }

  func leave() { depth -= 1 }

  func value(of name: String) -> TemplateValue {
    scope.value(of: name) ?? TemplateGlobals.function(name).map(TemplateValue.callable) ?? .undefined(.name(name))
  }

  func within<Value>(_ inner: TemplateScope, _ work: () throws -> Value) throws -> Value {
    let outer = scope
    scope = inner
    defer { scope = outer }
    return try work()
  }

  private func inner() -> TemplateScope { TemplateScope(parent: scope) }

  /// What `work` prints, as text.
  func capture(in inner: TemplateScope, _ work: () throws -> Flow) throws -> (text: String, flow: Flow) {
    var outer = ""
    swap(&outer, &output)
    captures += 1
    defer {
      swap(&outer, &output)
      captures -= 1
    }
    let flow = try within(inner, work)
    return (output, flow)
  }

  private func emit(_ text: String) throws {
    try budget.charge(appending: text.utf8.count, to: output.utf8.count)
    output += text
  }

  func text(of value: TemplateValue) throws -> String { try TemplatePrinter.string(of: value, budget) }

  func makeNamespace(_ attributes: OrderedDictionary<String, TemplateValue>) throws -> TemplateValue {
    try budget.charge(elements: attributes.count)
    let namespace = TemplateNamespace(attributes)
    namespaces.append(namespace)
    return .namespace(namespace)
  }

  // MARK: statements

  /// Runs the statements of a block, one level deeper.
  func execute(_ body: [TemplateStatement]) throws -> Flow {
    try enter()
    defer { leave() }
    for statement in body {
      try budget.charge()
      line = statement.line
      let flow = try execute(statement)
      guard flow == .next else { return flow }
    }
    return .next
  }

  private func execute(_ statement: TemplateStatement) throws -> Flow {
    switch statement.form {
    case .text(let text): try emit(text)
    case .branch, .loop, .scope: return try executeBlock(statement)
    case .assignBlock, .filterBlock, .generation: return try executeCapture(statement)
    case .breakLoop: return .leaveLoop
    case .continueLoop: return .nextRound
    default: try executeSimple(statement)
    }
    return .next
  }

  @inline(never)
  private func executeSimple(_ statement: TemplateStatement) throws {
    switch statement.form {
    case .output(let values): for value in values { try emit(try text(of: try evaluate(value))) }
    case .assign(let target, let value): try assign(target, try evaluateMarked(value))
    case .macro(let definition): scope.assign(definition.name, .callable(macro(definition)))
    case .callBlock(let call, let caller): try emit(try text(of: try evaluate(call, caller: macro(caller))))
    default: break
    }
  }

  @inline(never)
  private func executeCapture(_ statement: TemplateStatement) throws -> Flow {
    switch statement.form {
    case .assignBlock(let target, let filters, let body):
      let (value, flow) = try filtered(filters, body)
      try assign(target, value)
      return flow
    case .filterBlock(let filters, let body):
      let (value, flow) = try filtered(filters, body)
      try emit(try text(of: value))
      return flow
    case .generation(let body):
      try generate(body)
      return .next
    default: return .next
    }
  }

  @inline(never)
  private func executeBlock(_ statement: TemplateStatement) throws -> Flow {
    switch statement.form {
    case .branch(let branches, let otherwise):
      for (test, body) in branches where try evaluate(test).isTrue { return try execute(body) }
      return try execute(otherwise)
    case .loop(let loop): return try execute(loop)
    case .scope(let values, let body):
      let evaluated = try values.map { ($0.target, try evaluate($0.value)) }
      return try within(inner()) {
        for (target, value) in evaluated { try assign(target, value) }
        return try execute(body)
      }
    default: return .next
    }
  }

  private func execute(_ loop: TemplateForLoop) throws -> Flow {
    let context = try self.loop(over: try evaluate(loop.iterable), loop)
    var isEmpty = true
    while let element = try context.advance() {
      isEmpty = false
      let round = inner()
      round.assign("loop", .loop(context))
      let flow = try within(round) {
        try assign(loop.target, element)
        return try execute(loop.body)
      }
      if flow == .leaveLoop { break }
    }
    guard isEmpty else { return .next }
    return try within(inner()) { try execute(loop.otherwise) }
  }

  private func loop(over value: TemplateValue, _ loop: TemplateForLoop) throws -> TemplateLoop {
    let (count, source) = try elements(of: value)
    guard let filter = loop.filter else { return TemplateLoop(count: count, source: source) }
    let surrounding = scope
    return TemplateLoop(count: nil) { [unowned self] in
      while let element = try source() {
        try budget.charge()
        let passes = try within(TemplateScope(parent: surrounding)) {
          try assign(loop.target, element)
          return try evaluate(filter).isTrue
        }
        if passes { return element }
      }
      return nil
    }
  }

  private func generate(_ body: [TemplateStatement]) throws {
    let start = output.utf8.count
    _ = try within(inner()) { try execute(body) }
    if captures > 0 { hidesGeneration = true } else { generationSpans.append(start..<output.utf8.count) }
  }

  // MARK: assignment

  private func assign(_ target: TemplateTarget, _ value: TemplateValue) throws {
    switch target {
    case .name(let name): scope.assign(name, value)
    case .attribute(let owner, let name):
      guard case .namespace(let namespace) = self.value(of: owner) else {
        throw TemplateFailure("cannot assign attribute on non-namespace object")
      }
      try TemplateGlobals.checkNamespaceName(name)
      namespace.attributes[name] = value
    case .tuple(let targets):
      let values = try list(of: value)
      guard values.count == targets.count else {
        let problem =
          values.count < targets.count
          ? "not enough values to unpack (expected \(targets.count), got \(values.count))"
          : "too many values to unpack (expected \(targets.count))"
        throw TemplateFailure(problem)
      }
      for (target, value) in zip(targets, values) { try assign(target, value) }
    }
  }

  private func filtered(_ filters: [TemplateFilterCall], _ body: [TemplateStatement]) throws -> (TemplateValue, Flow) {
    let (text, flow) = try capture(in: inner()) { try execute(body) }
    var value = TemplateValue.string(text)
    for filter in filters { value = try apply(filter, to: value) }
    return (value, flow)
  }

  private func macro(_ definition: TemplateMacroDefinition) -> TemplateCallable {
    let macro = TemplateMacro(definition: definition, scope: scope)
    scopes.append(scope)
    return TemplateCallable(name: definition.name, macro: macro) { try $0.call(macro, $1) }
  }
}
