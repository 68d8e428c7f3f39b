import OrderedCollections

/// The functions that every template can call.
enum TemplateGlobals {
  private typealias Body = @Sendable (TemplateInterpreter, TemplateArguments) throws -> TemplateValue

  /// The function of this name.
  static func function(_ name: String) -> TemplateCallable? {
    bodies[name].map { body in TemplateCallable(name: name) { try body($0, $1) } }
  }

  private static let bodies: [String: Body] = [
    "range": range,
    "dict": { interpreter, arguments in
      let pairs = try pairs("dict", interpreter, arguments)
      return try interpreter.makeDict(pairs)
    },
    "namespace": { interpreter, arguments in
      var attributes: OrderedDictionary<String, TemplateValue> = [:]
      for (key, value) in try pairs("namespace", interpreter, arguments) {
        guard case .string(let name) = key else { throw TemplateFailure("the names of a namespace must be strings") }
        try checkNamespaceName(name)
        attributes[name] = value
      }
      return try interpreter.makeNamespace(attributes)
    },
    "raise_exception": { interpreter, arguments in
      let given = try arguments.bind("raise_exception", ["message"], required: 1)
      throw TemplateFailure(try interpreter.text(of: given[0] ?? .none), kind: .refused)
    },
    "strftime_now": { interpreter, arguments in
      let given = try arguments.bind("strftime_now", ["format"], required: 1)
      guard let format = try given.text(0) else {
        throw TemplateFailure("strftime_now() needs a string for 'format', not NoneType")
      }
      try interpreter.budget.charge(repeating: 16, count: format.utf8.count)
      return .string(try interpreter.clock.text(format))
    },
  ]

  /// - Throws: for names that start with an underscore, which Hugging Face keeps from templates.
  static func checkNamespaceName(_ name: String) throws {
    guard !name.hasPrefix("_") else {
      throw TemplateFailure("a namespace cannot hold '\(name)': its name starts with an underscore")
    }
  }

  /// The members that `dict(…)` and `namespace(…)` are given: of a mapping or pairs, then by name.
  private static func pairs(
    _ function: String, _ interpreter: TemplateInterpreter, _ arguments: TemplateArguments
  ) throws -> [(TemplateValue, TemplateValue)] {
    guard arguments.positional.count <= 1 else { throw TemplateFailure("\(function)() takes at most 1 positional argument") }
    var pairs: [(TemplateValue, TemplateValue)] = []
    if case .dict(let dict) = arguments.positional.first {
      pairs = dict.members.values.map { ($0.key, $0.value) }
    } else if let source = arguments.positional.first {
      pairs = try interpreter.list(of: source).map { element in
        let pair = try interpreter.list(of: element)
        guard pair.count == 2 else { throw TemplateFailure("\(function)() needs pairs of a key and a value") }
        return (pair[0], pair[1])
      }
    }
    return pairs + arguments.named.map { (.string($0.key), $0.value) }
  }

  private static let range: Body = { interpreter, arguments in
    let given = try arguments.bind("range", ["start", "stop", "step"], required: 1, positionalOnly: true)
    let bounds = try given.values.indices.map { try given.int($0) }
    guard let first = bounds[0] else { throw TemplateFailure("'NoneType' object cannot be interpreted as an integer") }
    let (start, end, step) = (bounds[1] == nil ? 0 : first, bounds[1] ?? first, bounds[2] ?? 1)
    guard step != 0 else { throw TemplateFailure("range() arg 3 must not be zero") }
    let numbers = stride(from: start, to: end, by: step).prefix(TemplateLimits.rangeCount + 1).map(TemplateValue.int)
    guard numbers.count <= TemplateLimits.rangeCount else {
      throw TemplateFailure("a range holds more than \(TemplateLimits.rangeCount) numbers", kind: .limit)
    }
    try interpreter.budget.charge(elements: numbers.count)
    return .sequence(try TemplateSequence(.range(start: start, end: end, step: step), numbers))
  }
}
