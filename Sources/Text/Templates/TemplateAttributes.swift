import OrderedCollections

extension TemplateInterpreter {
  /// `value.name`: an attribute or method of the Python type first, then an item.
  func attribute(_ name: String, of value: TemplateValue) throws -> TemplateValue {
    try ownAttribute(name, of: value) ?? keyed(name, of: value) ?? .undefined(.attribute(name, of: value.ownerName))
  }

  /// `value[key]`: an item first, then an attribute or method.
  func item(_ key: TemplateValue, of value: TemplateValue) throws -> TemplateValue {
    if case .undefined(let undefined) = value { throw undefined.failure }
    if let index = key.index, let element = try indexed(index, of: value) { return element }
    if case .dict(let dict) = value, let hashed = try? comparer.key(key), let member = dict.members[hashed] {
      return member.value
    }
    guard case .string(let name) = key else { return .undefined(.element(key, of: value.ownerName)) }
    return try ownAttribute(name, of: value) ?? .undefined(.attribute(name, of: value.ownerName))
  }

  private func keyed(_ name: String, of value: TemplateValue) -> TemplateValue? {
    if case .dict(let dict) = value { return dict[name] }
    return nil
  }

  private func indexed(_ index: Int, of value: TemplateValue) throws -> TemplateValue? {
    switch value {
    case .sequence(let sequence) where sequence.isIndexable:
      let place = index < 0 ? index + sequence.elements.count : index
      return sequence.elements.indices.contains(place) ? sequence.elements[place] : nil
    case .string(let text):
      try budget.charge(1 + text.utf8.count / 64)
      let scalars = text.unicodeScalars
      if index >= 0 { return scalars.dropFirst(index).first.map { .string(String($0)) } }
      guard index > Int.min, scalars.count >= -index else { return nil }
      return scalars.suffix(-index).first.map { .string(String($0)) }
    default: return nil
    }
  }

  /// What the Python type itself has under `name`.
  private func ownAttribute(_ name: String, of value: TemplateValue) throws -> TemplateValue? {
    switch value {
    case .undefined(let undefined): throw undefined.failure
    case .namespace(let namespace): return namespace.attributes[name]
    case .loop(let loop): return try loop.attribute(name)
    case .callable(let callable): return try callable.macro.flatMap { try macroAttribute(name, $0) }
    default: break
    }
    guard let found = TemplateMethods.method(name, of: value) else { return nil }
    switch found {
    case .method(let body): return .callable(TemplateCallable(name: name) { try body($0, value, $1) })
    case .forbidden:
      let reason = "access to attribute '\(name)' of '\(value.typeName)' object is unsafe."
      return .undefined(.because(reason))
    }
  }

  private func macroAttribute(_ name: String, _ macro: TemplateMacro) throws -> TemplateValue? {
    switch name {
    case "name": return .string(macro.definition.name)
    case "arguments": return try makeTuple(macro.definition.parameters.map { .string($0.name) })
    case "catch_kwargs": return .bool(macro.definition.specials.contains("kwargs"))
    case "catch_varargs": return .bool(macro.definition.specials.contains("varargs"))
    case "caller": return .bool(macro.definition.specials.contains("caller"))
    default: return nil
    }
  }

  // MARK: slices

  /// `value[start:end:step]`.
  func evaluate(_ slice: TemplateSlice, of value: TemplateValue) throws -> TemplateValue {
    let start = try bound(slice.start)
    let end = try bound(slice.end)
    let step = try bound(slice.step) ?? 1
    guard step != 0 else { throw TemplateFailure("slice step cannot be zero") }
    switch value {
    case .undefined(let undefined): throw undefined.failure
    case .string(let text):
      try budget.charge(bytes: text.utf8.count)
      let scalars = Array(text.unicodeScalars)
      var sliced = String.UnicodeScalarView()
      for place in places(scalars.count, start, end, step) { sliced.append(scalars[place]) }
      return .string(String(sliced))
    case .sequence(let sequence) where sequence.isIndexable:
      let chosen = places(sequence.elements.count, start, end, step)
      try budget.charge(elements: chosen.count)
      let kind: TemplateSequence.Kind = sequence.kind == .tuple ? .tuple : .list
      return .sequence(try TemplateSequence(kind, chosen.map { sequence.elements[$0] }))
    case .dict: throw TemplateFailure("unhashable type: 'slice'")
    default: throw TemplateFailure("'\(value.typeName)' object is not subscriptable")
    }
  }

  private func bound(_ expression: TemplateExpression?) throws -> Int? {
    guard let expression else { return nil }
    let value = try evaluate(expression)
    if case .none = value { return nil }
    guard let bound = value.index else {
      if case .undefined(let undefined) = value { throw undefined.failure }
      throw TemplateFailure("slice indices must be integers or None or have an __index__ method")
    }
    return bound
  }

  /// The places that a slice of `count` elements takes, as Python's `slice.indices` gives them.
  private func places(_ count: Int, _ start: Int?, _ end: Int?, _ step: Int) -> [Int] {
    func clamp(_ bound: Int, _ range: ClosedRange<Int>) -> Int {
      let place = bound < 0 ? (bound < -count ? -1 : bound + count) : bound
      return min(max(place, range.lowerBound), range.upperBound)
    }
    guard count > 0 else { return [] }
    let step = min(max(step, -count), count)
    if step > 0 {
      let first = start.map { clamp($0, 0...count) } ?? 0
      let last = end.map { clamp($0, 0...count) } ?? count
      return Array(stride(from: first, to: last, by: step))
    }
    let first = start.map { clamp($0, -1...(count - 1)) } ?? count - 1
    let last = end.map { clamp($0, -1...(count - 1)) } ?? -1
    return Array(stride(from: first, to: last, by: step))
  }
}
