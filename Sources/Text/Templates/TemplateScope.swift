/// The variables that a block of a template sees: its own, then those around it.
final class TemplateScope {
  private(set) var variables: [String: TemplateValue] = [:]
  let parent: TemplateScope?

  init(parent: TemplateScope?) { self.parent = parent }

  func assign(_ name: String, _ value: TemplateValue) { variables[name] = value }

  func value(of name: String) -> TemplateValue? {
    var scope: TemplateScope? = self
    while let current = scope {
      if let value = current.variables[name] { return value }
      scope = current.parent
    }
    return nil
  }

  /// Lets go of every value, which may lead back to the scope itself.
  func empty() { variables = [:] }
}

/// A macro, with the scope it was defined in.
struct TemplateMacro {
  let definition: TemplateMacroDefinition
  let scope: TemplateScope
}

/// The `loop` of a `for` block, and what it goes through.
final class TemplateLoop {
  private let source: () throws -> TemplateValue?
  private let knownCount: Int?
  private var waiting: ArraySlice<TemplateValue> = []
  private var isExhausted = false
  private(set) var index0 = -1
  private(set) var previous: TemplateValue?
  private var current: TemplateValue?
  private var lastChanged: [TemplateValue]?

  /// - Parameters:
  ///   - count: how many elements there are; nil where only going through them tells.
  ///   - source: the next element, nil after the last.
  init(count: Int?, source: @escaping () throws -> TemplateValue?) {
    knownCount = count
    self.source = source
  }

  private func pull() throws -> TemplateValue? {
    guard !isExhausted, let value = try source() else {
      isExhausted = true
      return nil
    }
    return value
  }

  func advance() throws -> TemplateValue? {
    guard let value = try waiting.popFirst() ?? pull() else { return nil }
    index0 += 1
    previous = current
    current = value
    return value
  }

  func peek() throws -> TemplateValue? {
    if waiting.isEmpty, let value = try pull() { waiting.append(value) }
    return waiting.first
  }

  private func hasNext() throws -> Bool {
    if case .some = try peek() { return true }
    return false
  }

  func count() throws -> Int {
    if let knownCount { return knownCount }
    while let value = try pull() { waiting.append(value) }
    return index0 + 1 + waiting.count
  }

  /// True where `values` differ from those of the last call.
  func changed(_ values: [TemplateValue], _ comparer: TemplateComparer) throws -> Bool {
    if let last = lastChanged, last.count == values.count,
      try zip(last, values).allSatisfy({ try comparer.equal($0, $1) })
    {
      return false
    }
    lastChanged = values
    return true
  }

  /// The attribute of `loop` with this name.
  func attribute(_ name: String) throws -> TemplateValue? {
    switch name {
    case "index0": return .int(index0)
    case "index": return .int(index0 + 1)
    case "first": return .bool(index0 == 0)
    case "last": return .bool(try !hasNext())
    case "length": return .int(try count())
    case "revindex": return .int(try count() - index0)
    case "revindex0": return .int(try count() - index0 - 1)
    case "depth": return .int(1)
    case "depth0": return .int(0)
    case "previtem": return previous ?? .undefined(.because("there is no previous item"))
    case "nextitem": return try peek() ?? .undefined(.because("there is no next item"))
    case "cycle": return .callable(TemplateCallable(name: "cycle") { [self] in try cycle($0, $1) })
    case "changed":
      return .callable(
        TemplateCallable(name: "changed") { [self] in
          .bool(try changed($1.positional, $0.comparer))
        })
    default: return nil
    }
  }

  private func cycle(_ interpreter: TemplateInterpreter, _ arguments: TemplateArguments) throws -> TemplateValue {
    guard !arguments.positional.isEmpty else { throw TemplateFailure("no items for cycling given") }
    return arguments.positional[max(index0, 0) % arguments.positional.count]
  }
}
