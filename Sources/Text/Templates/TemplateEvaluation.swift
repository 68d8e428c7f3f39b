import OrderedCollections

extension TemplateInterpreter {
  /// The value of an expression.
  ///
  /// - Parameter caller: what a macro called at the top of `expression` gets as `caller`.
  func evaluate(_ expression: TemplateExpression, caller: TemplateCallable? = nil) throws -> TemplateValue {
    try evaluateMarked(expression, caller).unmarked
  }

  /// As ``evaluate(_:caller:)``, telling marked-up strings from plain ones.
  func evaluateMarked(_ expression: TemplateExpression, _ caller: TemplateCallable? = nil) throws -> TemplateValue {
    try budget.charge()
    switch expression.form {
    case .constant(let constant): return TemplateValue(constant)
    case .name(let name): return value(of: name)
    default: break
    }
    try enter()
    defer { leave() }
    at(expression.line)
    // Each kind has a function of its own: one function with every case would need a large stack frame at each level.
    switch expression.form {
    case .list, .tuple, .dict: return try evaluateContainer(expression)
    case .attribute, .item, .slice: return try evaluateAccess(expression)
    case .call(let callee, let arguments): return try evaluate(callee, arguments, caller, line: expression.line)
    case .filter, .test: return try evaluateFilter(expression)
    case .both, .either, .conditional: return try evaluateChoice(expression)
    default: return try evaluateOperator(expression)
    }
  }

  @inline(never)
  private func evaluateContainer(_ expression: TemplateExpression) throws -> TemplateValue {
    switch expression.form {
    case .list(let items): return try makeList(try items.map { try evaluate($0) })
    case .tuple(let items): return try makeTuple(try items.map { try evaluate($0) })
    case .dict(let pairs): return try makeDict(try pairs.map { (try evaluate($0.key), try evaluate($0.value)) })
    default: throw Self.withoutValue
    }
  }

  @inline(never)
  private func evaluateAccess(_ expression: TemplateExpression) throws -> TemplateValue {
    switch expression.form {
    case .attribute(let owner, let name):
      let value = try evaluate(owner)
      at(expression.line)
      return try attribute(name, of: value)
    case .item(let owner, let key): return try item(try evaluate(key), of: try evaluate(owner))
    case .slice(let owner, let slice): return try evaluate(slice, of: try evaluate(owner))
    default: throw Self.withoutValue
    }
  }

  @inline(never)
  private func evaluateFilter(_ expression: TemplateExpression) throws -> TemplateValue {
    switch expression.form {
    case .filter(let value, let call): return try apply(call, to: try evaluate(value))
    case .test(let value, let call): return .bool(try check(call, try evaluate(value)))
    default: throw Self.withoutValue
    }
  }

  @inline(never)
  private func evaluateChoice(_ expression: TemplateExpression) throws -> TemplateValue {
    switch expression.form {
    case .both(let left, let right):
      let first = try evaluate(left)
      return first.isTrue ? try evaluate(right) : first
    case .either(let left, let right):
      let first = try evaluate(left)
      return first.isTrue ? first : try evaluate(right)
    case .conditional(let test, let then, let otherwise):
      if try evaluate(test).isTrue { return try evaluateMarked(then) }
      if let otherwise { return try evaluateMarked(otherwise) }
      let reason =
        "the inline if-expression on line \(expression.line) evaluated to false and no else section was defined."
      return .undefined(.because(reason))
    default: throw Self.withoutValue
    }
  }

  @inline(never)
  private func evaluateOperator(_ expression: TemplateExpression) throws -> TemplateValue {
    switch expression.form {
    case .unary(let sign, let operand): return try arithmetic.unary(sign, try evaluate(operand))
    case .binary(let sign, let left, let right):
      let operands = (try evaluateMarked(left), try evaluateMarked(right))
      at(expression.line)
      return try arithmetic.binary(sign, operands.0, operands.1)
    case .concatenation(let parts): return try concatenate(parts)
    case .comparison(let first, let rest): return .bool(try compare(first, rest))
    default: throw Self.withoutValue
    }
  }

  private static var withoutValue: TemplateFailure { TemplateFailure("an expression has no value") }

  var arithmetic: TemplateArithmetic { TemplateArithmetic(budget: budget) }

  private func concatenate(_ parts: [TemplateExpression]) throws -> TemplateValue {
    var joined = ""
    for part in parts {
      let piece = try text(of: try evaluate(part))
      try budget.charge(appending: piece.utf8.count, to: joined.utf8.count)
      joined += piece
    }
    return .string(joined)
  }

  private func compare(
    _ first: TemplateExpression, _ rest: [(test: TemplateComparison, operand: TemplateExpression)]
  ) throws -> Bool {
    var left = try evaluate(first)
    for (test, operand) in rest {
      let right = try evaluate(operand)
      guard try comparer.holds(test, left, right) else { return false }
      left = right
    }
    return true
  }

  // MARK: containers

  func makeList(_ elements: [TemplateValue]) throws -> TemplateValue {
    try budget.charge(elements: elements.count)
    return try .list(elements)
  }

  func makeTuple(_ elements: [TemplateValue]) throws -> TemplateValue {
    try budget.charge(elements: elements.count)
    return try .tuple(elements)
  }

  func makeDict(_ pairs: [(TemplateValue, TemplateValue)]) throws -> TemplateValue {
    try budget.charge(elements: pairs.count)
    var members = TemplateDict.Members()
    for (key, value) in pairs {
      let hashed = try comparer.key(key)
      members[hashed] = (members[hashed]?.key ?? key, value)
    }
    return .dict(try TemplateDict(members))
  }

  /// The elements that a `for` would go through: their number where it is known, and each in turn.
  func elements(of value: TemplateValue) throws -> (count: Int?, next: () throws -> TemplateValue?) {
    switch value {
    case .undefined: return (0, { nil })
    case .string(let text):
      var scalars = text.unicodeScalars.makeIterator()
      return (text.unicodeScalars.count, { scalars.next().map { .string(String($0)) } })
    case .sequence(let sequence):
      var elements = sequence.elements.makeIterator()
      return (sequence.elements.count, { elements.next() })
    case .dict(let dict):
      var members = dict.members.values.makeIterator()
      return (dict.members.count, { members.next()?.key })
    case .iterator(let iterator): return (nil, { iterator.next() })
    default: throw TemplateFailure("'\(value.typeName)' object is not iterable")
    }
  }

  /// All elements that a `for` would go through.
  func list(of value: TemplateValue) throws -> [TemplateValue] {
    if case .sequence(let sequence) = value {
      try budget.charge(elements: sequence.elements.count)
      return sequence.elements
    }
    let (_, next) = try elements(of: value)
    var list: [TemplateValue] = []
    while let element = try next() {
      try budget.charge(2)
      list.append(element)
    }
    return list
  }

  // MARK: calls

  private func evaluate(
    _ callee: TemplateExpression, _ arguments: TemplateCallArguments, _ caller: TemplateCallable?, line: Int
  ) throws -> TemplateValue {
    let function = try evaluate(callee)
    var given = try evaluate(arguments)
    if let caller { given.named["caller"] = .callable(caller) }
    at(line)
    switch function {
    case .callable(let callable): return try callable.body(self, given)
    case .undefined(let undefined): throw undefined.failure
    default: throw TemplateFailure("'\(function.typeName)' object is not callable")
    }
  }

  private func evaluate(_ arguments: TemplateCallArguments) throws -> TemplateArguments {
    var given = TemplateArguments(positional: try arguments.positional.map { try evaluate($0) })
    for (name, value) in arguments.named { given.named[name] = try evaluate(value) }
    if let unpacked = arguments.unpacked { given.positional += try list(of: try evaluate(unpacked)) }
    if let unpacked = arguments.unpackedNamed {
      guard case .dict(let dict) = try evaluate(unpacked) else { throw TemplateFailure("argument after ** must be a mapping") }
      for member in dict.members.values {
        guard case .string(let name) = member.key else { throw TemplateFailure("keywords must be strings") }
        guard given.named.updateValue(member.value, forKey: name) == nil else {
          throw TemplateFailure("the argument '\(name)' is given twice")
        }
      }
    }
    return given
  }

  func apply(_ call: TemplateFilterCall, to value: TemplateValue) throws -> TemplateValue {
    let arguments = try evaluate(call.arguments)
    at(call.line)
    return try filter(call.name, value, arguments)
  }

  func filter(_ name: String, _ value: TemplateValue, _ arguments: TemplateArguments) throws -> TemplateValue {
    guard let filter = TemplateFilters.all[name] else { throw TemplateFailure("No filter named '\(name)'.") }
    return try filter(self, value, arguments)
  }

  private func check(_ call: TemplateFilterCall, _ value: TemplateValue) throws -> Bool {
    let arguments = try evaluate(call.arguments)
    at(call.line)
    return try test(call.name, value, arguments)
  }

  func test(_ name: String, _ value: TemplateValue, _ arguments: TemplateArguments) throws -> Bool {
    guard let test = TemplateTests.all[name] else { throw TemplateFailure("No test named '\(name)'.") }
    return try test(self, value, arguments)
  }

  // MARK: macros

  func call(_ macro: TemplateMacro, _ arguments: TemplateArguments) throws -> TemplateValue {
    let scope = TemplateScope(parent: macro.scope)
    let (text, _) = try capture(in: scope) {
      try bind(macro.definition, arguments, in: scope)
      return try execute(macro.definition.body)
    }
    return .string(text)
  }

  private func bind(_ macro: TemplateMacroDefinition, _ arguments: TemplateArguments, in scope: TemplateScope) throws {
    var named = arguments.named
    var missing: [(String, TemplateExpression?)] = []
    for (place, parameter) in macro.parameters.enumerated() {
      if place < arguments.positional.count {
        scope.assign(parameter.name, arguments.positional[place])
      } else if let value = named.removeValue(forKey: parameter.name) {
        scope.assign(parameter.name, value)
      } else {
        missing.append(parameter)
      }
    }
    try bindSpecials(macro, arguments, &named, in: scope)
    for (name, fallback) in missing {
      let absent = TemplateValue.undefined(.because("parameter '\(name)' was not provided"))
      scope.assign(name, try fallback.map { try evaluate($0) } ?? absent)
    }
  }

  private func bindSpecials(
    _ macro: TemplateMacroDefinition, _ arguments: TemplateArguments, _ named: inout OrderedDictionary<String, TemplateValue>,
    in scope: TemplateScope
  ) throws {
    if macro.specials.contains("caller") {
      scope.assign("caller", named.removeValue(forKey: "caller") ?? .undefined(.because("No caller defined")))
    }
    if macro.specials.contains("kwargs") {
      scope.assign("kwargs", try makeDict(named.map { (.string($0.key), $0.value) }))
    } else if let name = named.keys.first {
      throw TemplateFailure("macro '\(macro.name)' takes no keyword argument '\(name)'")
    }
    let extra = arguments.positional.dropFirst(macro.parameters.count)
    if macro.specials.contains("varargs") {
      scope.assign("varargs", try makeTuple(Array(extra)))
    } else if !extra.isEmpty {
      throw TemplateFailure("macro '\(macro.name)' takes not more than \(macro.parameters.count) argument(s)")
    }
  }
}
