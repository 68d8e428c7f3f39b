import OrderedCollections

/// The methods that Python's types have and Jinja's immutable sandbox lets a template call.
enum TemplateMethods {
  typealias Body = @Sendable (TemplateInterpreter, TemplateValue, TemplateArguments) throws -> TemplateValue

  enum Found {
    case method(Body)
    /// The type has it, and the sandbox keeps it from templates.
    case forbidden
  }

  static func method(_ name: String, of value: TemplateValue) -> Found? {
    if name.hasPrefix("__") { return .forbidden }
    switch value {
    case .string:
      if let method = TemplateStringMethods.all[name] { return .method(method) }
      return TemplateStringMethods.unsupported.contains(name) ? .method(unsupported("str", name)) : nil
    case .dict:
      if let method = dict[name] { return .method(method) }
      return ["clear", "pop", "popitem", "setdefault", "update"].contains(name) ? .forbidden : nil
    case .sequence(let sequence) where sequence.isIndexable:
      if name == "copy", sequence.kind != .list { return nil }
      if let method = list[name] { return .method(method) }
      let mutations = ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"]
      return sequence.kind == .list && mutations.contains(name) ? .forbidden : nil
    case .double where name == "is_integer":
      return .method { _, value, _ in .bool(value.number.map { $0 == $0.rounded() } ?? false) }
    default: return nil
    }
  }

  private static func unsupported(_ type: String, _ name: String) -> Body {
    { _, _, _ in throw TemplateFailure("the method \(type).\(name) is not supported") }
  }

  // MARK: dictionaries

  private static let dict: [String: Body] = [
    "items": { interpreter, value, arguments in
      _ = try arguments.bind("items")
      let pairs = try members(value).map { try interpreter.makeTuple([$0.key, $0.value]) }
      return .sequence(try TemplateSequence(.items, pairs))
    },
    "keys": { interpreter, value, arguments in
      _ = try arguments.bind("keys")
      let members = members(value)
      try interpreter.budget.charge(elements: members.count)
      return .sequence(try TemplateSequence(.keys, members.map(\.key)))
    },
    "values": { interpreter, value, arguments in
      _ = try arguments.bind("values")
      let members = members(value)
      try interpreter.budget.charge(elements: members.count)
      return .sequence(try TemplateSequence(.values, members.map(\.value)))
    },
    "get": { interpreter, value, arguments in
      let given = try arguments.bind("get", ["key", "default"], required: 1, positionalOnly: true)
      guard case .dict(let dict) = value, let key = given[0] else { return .none }
      return dict.members[try interpreter.comparer.key(key)]?.value ?? given[1] ?? .none
    },
    "copy": { _, value, arguments in
      _ = try arguments.bind("copy")
      return value
    },
  ]

  private static func members(_ value: TemplateValue) -> [(key: TemplateValue, value: TemplateValue)] {
    if case .dict(let dict) = value { return Array(dict.members.values) }
    return []
  }

  // MARK: lists and tuples

  private static let list: [String: Body] = [
    "count": { interpreter, value, arguments in
      let given = try arguments.bind("count", ["value"], required: 1, positionalOnly: true)
      guard case .sequence(let sequence) = value, let wanted = given[0] else { return .int(0) }
      return .int(try sequence.elements.count { try interpreter.comparer.equal($0, wanted) })
    },
    "index": { interpreter, value, arguments in
      let given = try arguments.bind("index", ["value", "start", "stop"], required: 1, positionalOnly: true)
      guard case .sequence(let sequence) = value, let wanted = given[0] else { return .none }
      let count = sequence.elements.count
      let range = TemplateStringMethods.clamped(try given.int(1), try given.int(2), count: count)
      for place in range where try interpreter.comparer.equal(sequence.elements[place], wanted) { return .int(place) }
      throw TemplateFailure("the value is not in the list")
    },
    "copy": { _, value, arguments in
      _ = try arguments.bind("copy")
      return value
    },
  ]
}
