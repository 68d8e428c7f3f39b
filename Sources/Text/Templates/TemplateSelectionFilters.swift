import OrderedCollections

/// A path such as `function.name` or `0`, as filters take it in `attribute=`.
struct TemplatePath {
  private let parts: [TemplateValue]
  private let ignoresCase: Bool
  private let fallback: TemplateValue?

  /// - Parameters:
  ///   - path: a name, names joined by dots, or an index; nil or `none` for the element itself.
  ///   - ignoresCase: make strings lower case, to compare them.
  ///   - fallback: what stands for an undefined value.
  init(_ path: TemplateValue?, ignoresCase: Bool = false, fallback: TemplateValue? = nil) throws {
    switch path {
    case nil, .some(.none): parts = []
    case .some(.string(let text)): parts = TextSearch.split(text, by: ".").map(Self.part)
    case .some(let value):
      guard value.index != nil else { throw TemplateFailure("an attribute must be a name or an index, not \(value.typeName)") }
      parts = [value]
    }
    self.ignoresCase = ignoresCase
    self.fallback = fallback
  }

  /// The paths in a string that separates them by commas.
  static func several(_ paths: TemplateValue?, ignoresCase: Bool) throws -> [TemplatePath] {
    guard case .string(let text) = paths else { return [try TemplatePath(paths, ignoresCase: ignoresCase)] }
    return try TextSearch.split(text, by: ",").map { try TemplatePath(.string($0), ignoresCase: ignoresCase) }
  }

  private static func part(_ text: String) -> TemplateValue {
    text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text).map(TemplateValue.int) ?? .string(text) : .string(text)
  }

  /// What the path leads to from `element`.
  func value(in element: TemplateValue, _ interpreter: TemplateInterpreter) throws -> TemplateValue {
    var value = element
    for part in parts {
      value = try interpreter.item(part, of: value)
      if let fallback, value.isUndefined { value = fallback }
    }
    guard ignoresCase, case .string(let text) = value else { return value }
    try interpreter.budget.charge(bytes: text.utf8.count)
    return .string(TextCase.lower(text))
  }
}

/// The filters that apply a filter or a test to each element.
enum TemplateSelectionFilters {
  static let all: [String: TemplateFilters.Filter] = [
    "map": map,
    "select": { try select("select", $0, $1, $2, keeping: true, byAttribute: false) },
    "reject": { try select("reject", $0, $1, $2, keeping: false, byAttribute: false) },
    "selectattr": { try select("selectattr", $0, $1, $2, keeping: true, byAttribute: true) },
    "rejectattr": { try select("rejectattr", $0, $1, $2, keeping: false, byAttribute: true) },
  ]

  private static let map: TemplateFilters.Filter = { interpreter, value, arguments in
    guard value.isTrue else { return .iterator(try TemplateIterator([])) }
    let elements = try interpreter.list(of: value)
    if arguments.positional.isEmpty, arguments.named["attribute"].isGiven {
      let given = try arguments.bind("map", ["attribute", "default"])
      let path = try TemplatePath(given[0], fallback: given[1])
      return .iterator(try TemplateIterator(try elements.map { try path.value(in: $0, interpreter) }))
    }
    guard case .string(let name) = arguments.positional.first else { throw TemplateFailure("map requires a filter argument") }
    let rest = TemplateArguments(positional: Array(arguments.positional.dropFirst()), named: arguments.named)
    return .iterator(
      try TemplateIterator(
        try elements.map { element in
          try interpreter.budget.charge()
          return try interpreter.filter(name, element, rest)
        }))
  }

  private static func select(
    _ filter: String, _ interpreter: TemplateInterpreter, _ value: TemplateValue, _ arguments: TemplateArguments,
    keeping: Bool, byAttribute: Bool
  ) throws -> TemplateValue {
    guard value.isTrue else { return .iterator(try TemplateIterator([])) }
    guard !byAttribute || !arguments.positional.isEmpty else { throw TemplateFailure("Missing parameter for attribute name") }
    let path = try TemplatePath(byAttribute ? arguments.positional[0] : nil)
    let rest = arguments.positional.dropFirst(byAttribute ? 1 : 0)
    let test = try testName(rest.first, filter)
    let given = TemplateArguments(positional: Array(rest.dropFirst()), named: arguments.named)
    let selected = try interpreter.list(of: value).filter { element in
      try interpreter.budget.charge()
      let candidate = try path.value(in: element, interpreter)
      return try (test.map { try interpreter.test($0, candidate, given) } ?? candidate.isTrue) == keeping
    }
    return .iterator(try TemplateIterator(selected))
  }

  private static func testName(_ value: TemplateValue?, _ filter: String) throws -> String? {
    switch value {
    case nil: return nil
    case .some(.string(let name)): return name
    case .some(let value): throw TemplateFailure("\(filter)() needs the name of a test, not \(value.typeName)")
    }
  }
}

extension TemplateValue? {
  /// True where there is a value, be it `none`.
  var isGiven: Bool {
    if case .some = self { return true }
    return false
  }
}
