import OrderedCollections

/// Equality, order and membership as Python has them.
struct TemplateComparer {
  let budget: TemplateBudget

  func equal(_ left: TemplateValue, _ right: TemplateValue) throws -> Bool {
    try budget.charge()
    switch (left, right) {
    case (.undefined, .undefined), (.none, .none): return true
    case (.string(let left), .string(let right)):
      guard left.utf8.count == right.utf8.count else { return false }
      try budget.charge(left.utf8.count / 64)
      return ExactString(left) == ExactString(right)
    case (.sequence(let left), .sequence(let right)): return try equal(left, right)
    case (.dict(let left), .dict(let right)): return try equal(left, right)
    case (.iterator(let left), .iterator(let right)): return left === right
    case (.namespace(let left), .namespace(let right)): return left === right
    case (.loop(let left), .loop(let right)): return left === right
    default:
      if let left = left.index, let right = right.index { return left == right }
      if let left = left.number, let right = right.number { return left == right }
      return false
    }
  }

  private func equal(_ left: TemplateSequence, _ right: TemplateSequence) throws -> Bool {
    if left === right { return true }
    switch (left.kind, right.kind) {
    case (.list, .list), (.tuple, .tuple), (.range, .range):
      guard left.elements.count == right.elements.count else { return false }
      for (one, other) in zip(left.elements, right.elements) where try !equal(one, other) { return false }
      return true
    default: return false
    }
  }

  private func equal(_ left: TemplateDict, _ right: TemplateDict) throws -> Bool {
    if left === right { return true }
    guard left.members.count == right.members.count else { return false }
    for (key, member) in left.members {
      guard let other = right.members[key], try equal(member.value, other.value) else { return false }
    }
    return true
  }

  /// True where `left` comes before `right`.
  /// - Throws: where Python has no order for the two types; `symbol` is the operator to name.
  func less(_ left: TemplateValue, _ right: TemplateValue, symbol: String = "<") throws -> Bool {
    try budget.charge()
    switch (left, right) {
    case (.undefined(let undefined), _), (_, .undefined(let undefined)): throw undefined.failure
    case (.string(let left), .string(let right)):
      try budget.charge(min(left.utf8.count, right.utf8.count) / 64)
      return left.utf8.lexicographicallyPrecedes(right.utf8)
    case (.sequence(let one), .sequence(let other)) where one.kind == other.kind && (one.kind == .list || one.kind == .tuple):
      for (one, other) in zip(one.elements, other.elements) where try !equal(one, other) {
        return try less(one, other, symbol: symbol)
      }
      return one.elements.count < other.elements.count
    default:
      if let left = left.index, let right = right.index { return left < right }
      if let left = left.number, let right = right.number { return left < right }
      throw TemplateFailure(
        "'\(symbol)' not supported between instances of '\(left.typeName)' and '\(right.typeName)'")
    }
  }

  /// The result of a comparison operator.
  func holds(_ test: TemplateComparison, _ left: TemplateValue, _ right: TemplateValue) throws -> Bool {
    switch test {
    case .equal: return try equal(left, right)
    case .notEqual: return try !equal(left, right)
    case .less: return try less(left, right)
    case .greater: return try less(right, left, symbol: ">")
    case .lessOrEqual: return try less(left, right, symbol: "<=") || equal(left, right)
    case .greaterOrEqual: return try less(right, left, symbol: ">=") || equal(left, right)
    case .contained: return try contains(right, left)
    case .notContained: return try !contains(right, left)
    }
  }

  /// Python's `element in container`.
  func contains(_ container: TemplateValue, _ element: TemplateValue) throws -> Bool {
    switch container {
    case .undefined: return false
    case .string(let text):
      guard case .string(let part) = element else {
        if case .undefined(let undefined) = element { throw undefined.failure }
        throw TemplateFailure("'in <string>' requires string as left operand, not \(element.typeName)")
      }
      try budget.charge(1 + text.utf8.count / 16)
      return TextSearch.contains(part, in: text)
    case .dict(let dict): return dict.members[try key(element)] != nil
    case .sequence(let sequence):
      for candidate in sequence.elements where try equal(candidate, element) { return true }
      return false
    case .iterator(let iterator):
      while let candidate = iterator.next() { if try equal(candidate, element) { return true } }
      return false
    default: throw TemplateFailure("argument of type '\(container.typeName)' is not iterable")
    }
  }

  /// The value as a dictionary's key.
  /// - Throws: for the types that Python calls unhashable.
  func key(_ value: TemplateValue) throws -> TemplateKey {
    try budget.charge()
    switch value {
    case .none: return .none
    case .bool, .int: return .int(value.index ?? 0)
    case .double(let number): return Int(exactly: number).map(TemplateKey.int) ?? .double(number)
    case .string(let text): return .string(ExactString(text))
    case .sequence(let sequence) where sequence.kind == .tuple: return .tuple(try sequence.elements.map(key))
    default: throw TemplateFailure("unhashable type: '\(value.typeName)'")
    }
  }

  /// The elements in ascending order of their keys, equal ones in their own order; descending where `reversed`.
  func sorted(
    _ elements: [TemplateValue], reversed: Bool, by key: (TemplateValue) throws -> TemplateValue
  ) throws -> [TemplateValue] {
    let keyed = try elements.enumerated().map { (place: $0.offset, key: try key($0.element), element: $0.element) }
    let ordered = try keyed.sorted { one, other in
      if try reversed ? less(other.key, one.key) : less(one.key, other.key) { return true }
      if try reversed ? less(one.key, other.key) : less(other.key, one.key) { return false }
      return one.place < other.place
    }
    return ordered.map(\.element)
  }
}
