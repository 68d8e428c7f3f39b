/// The tests (`value is name`) that templates may use.
enum TemplateTests {
  typealias Test = @Sendable (TemplateInterpreter, TemplateValue, TemplateArguments) throws -> Bool

  static let all: [String: Test] = kinds.merging(numbers) { $1 }.merging(comparisons) { $1 }.merging(others) { $1 }

  private static func kind(_ name: String, _ holds: @escaping @Sendable (TemplateValue) -> Bool) -> (String, Test) {
    (
      name,
      { _, value, arguments in
        _ = try arguments.bind(name)
        return holds(value)
      }
    )
  }

  private static let kinds: [String: Test] = Dictionary(
    uniqueKeysWithValues: [
      kind("defined") { !$0.isUndefined },
      kind("undefined") { $0.isUndefined },
      kind("none") { if case .none = $0 { true } else { false } },
      kind("boolean") { if case .bool = $0 { true } else { false } },
      kind("true") { if case .bool(true) = $0 { true } else { false } },
      kind("false") { if case .bool(false) = $0 { true } else { false } },
      kind("integer") { if case .int = $0 { true } else { false } },
      kind("float") { if case .double = $0 { true } else { false } },
      kind("number") { $0.number != nil },
      kind("string") { if case .string = $0 { true } else { false } },
      kind("mapping") { if case .dict = $0 { true } else { false } },
      kind("sequence", isSequence),
      kind("iterable", isIterable),
      kind("callable") {
        switch $0 {
        case .callable, .undefined: true
        default: false
        }
      },
      kind("escaped") { _ in false },
    ])

  private static func isSequence(_ value: TemplateValue) -> Bool {
    switch value {
    case .undefined, .string, .dict: true
    case .sequence(let sequence): sequence.isIndexable
    default: false
    }
  }

  private static func isIterable(_ value: TemplateValue) -> Bool {
    switch value {
    case .undefined, .string, .dict, .sequence, .iterator, .loop: true
    default: false
    }
  }

  // MARK: numbers

  private static func remainder(
    _ interpreter: TemplateInterpreter, _ value: TemplateValue, _ divisor: TemplateValue, is wanted: Int
  ) throws -> Bool {
    let remainder = try interpreter.arithmetic.binary(.modulo, value, divisor)
    return try interpreter.comparer.equal(remainder, .int(wanted))
  }

  private static let numbers: [String: Test] = [
    "odd": { interpreter, value, arguments in
      _ = try arguments.bind("odd")
      return try remainder(interpreter, value, .int(2), is: 1)
    },
    "even": { interpreter, value, arguments in
      _ = try arguments.bind("even")
      return try remainder(interpreter, value, .int(2), is: 0)
    },
    "divisibleby": { interpreter, value, arguments in
      let given = try arguments.bind("divisibleby", ["num"], required: 1)
      return try remainder(interpreter, value, given[0] ?? .none, is: 0)
    },
  ]

  // MARK: comparisons

  private static let comparisons: [String: Test] = {
    let names: [(TemplateComparison, [String])] = [
      (.equal, ["==", "eq", "equalto"]), (.notEqual, ["!=", "ne"]), (.less, ["<", "lt", "lessthan"]),
      (.lessOrEqual, ["<=", "le"]), (.greater, [">", "gt", "greaterthan"]), (.greaterOrEqual, [">=", "ge"]),
      (.contained, ["in"]),
    ]
    var tests: [String: Test] = [:]
    for (comparison, spellings) in names {
      for name in spellings {
        tests[name] = { interpreter, value, arguments in
          let given = try arguments.bind(name, ["other"], required: 1)
          return try interpreter.comparer.holds(comparison, value, given[0] ?? .none)
        }
      }
    }
    return tests
  }()

  // MARK: others

  private static let others: [String: Test] = [
    "lower": { interpreter, value, arguments in
      _ = try arguments.bind("lower")
      return TemplateStringTests.isLower(try interpreter.text(of: value))
    },
    "upper": { interpreter, value, arguments in
      _ = try arguments.bind("upper")
      return TemplateStringTests.isUpper(try interpreter.text(of: value))
    },
    "sameas": { interpreter, value, arguments in
      let given = try arguments.bind("sameas", ["other"], required: 1)
      return try isSame(value, given[0] ?? .none, interpreter)
    },
    "filter": { _, value, arguments in
      _ = try arguments.bind("filter")
      if case .string(let name) = value { return TemplateFilters.all[name] != nil }
      return false
    },
    "test": { _, value, arguments in
      _ = try arguments.bind("test")
      if case .string(let name) = value { return all[name] != nil }
      return false
    },
  ]

  /// Python's `is`, with equal numbers and strings taken for one object.
  private static func isSame(_ one: TemplateValue, _ other: TemplateValue, _ interpreter: TemplateInterpreter) throws -> Bool {
    switch (one, other) {
    case (.sequence(let one), .sequence(let other)): one === other
    case (.dict(let one), .dict(let other)): one === other
    case (.undefined, _), (_, .undefined): false
    default: try one.typeName == other.typeName && interpreter.comparer.equal(one, other)
    }
  }
}
