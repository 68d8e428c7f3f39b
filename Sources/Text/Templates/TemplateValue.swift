import OrderedCollections

/// A value while a template is rendered, with the behaviour of its Python counterpart.
enum TemplateValue {
  indirect case undefined(TemplateUndefined)
  case none
  case bool(Bool)
  case int(Int)
  case double(Double)
  case string(String)
  /// A string that `safe` or `escape` gave: adding to it escapes what is added. Everything else takes it for a string.
  case markup(String)
  case sequence(TemplateSequence)
  case dict(TemplateDict)
  case iterator(TemplateIterator)
  case namespace(TemplateNamespace)
  case loop(TemplateLoop)
  case callable(TemplateCallable)
}

/// Why a value is undefined; the text is made only when an error needs it.
enum TemplateUndefined {
  case name(String)
  case attribute(String, of: String)
  case element(TemplateValue, of: String)
  case because(String)

  var reason: String {
    switch self {
    case .name(let name): return "'\(name)' is undefined"
    case .attribute(let name, let owner): return "'\(owner)' has no attribute '\(name)'"
    case .element(let key, let owner):
      let shown = try? TemplatePrinter.representation(of: key, TemplateBudget(TemplateLimits(steps: 1_000, textBytes: 4_096)))
      return "\(owner) has no element \(shown ?? "of that key")"
    case .because(let reason): return reason
    }
  }

  var failure: TemplateFailure { TemplateFailure(reason) }
}

/// A list or something like one. Immutable, as Jinja's sandbox makes Python's lists.
final class TemplateSequence {
  enum Kind: Equatable {
    case list
    case tuple
    case range(start: Int, end: Int, step: Int)
    case keys
    case values
    case items
  }

  let kind: Kind
  let elements: [TemplateValue]
  let depth: Int

  /// - Throws: where the nesting would be deeper than the limit.
  init(_ kind: Kind, _ elements: [TemplateValue]) throws {
    self.kind = kind
    self.elements = elements
    depth = try TemplateValue.depth(around: elements)
  }

  /// True where Python's type can be indexed: all but the views of a dictionary.
  var isIndexable: Bool {
    switch kind {
    case .list, .tuple, .range: true
    case .keys, .values, .items: false
    }
  }
}

/// A dictionary that keeps its order. Immutable, as Jinja's sandbox makes Python's dictionaries.
final class TemplateDict {
  typealias Members = OrderedDictionary<TemplateKey, (key: TemplateValue, value: TemplateValue)>

  let members: Members
  let depth: Int

  /// - Throws: where the nesting would be deeper than the limit.
  init(_ members: Members) throws {
    self.members = members
    depth = try TemplateValue.depth(around: members.values.map(\.value))
  }

  subscript(name: String) -> TemplateValue? { members[.string(ExactString(name))]?.value }
}

/// Elements that can be gone through once, as a Python generator's.
final class TemplateIterator {
  /// The name of the Python type.
  let typeName: String
  private let elements: [TemplateValue]
  private var position = 0
  let depth: Int

  init(_ elements: [TemplateValue], typeName: String = "generator") throws {
    self.elements = elements
    self.typeName = typeName
    depth = try TemplateValue.depth(around: elements)
  }

  func next() -> TemplateValue? {
    guard position < elements.count else { return nil }
    defer { position += 1 }
    return elements[position]
  }
}

/// What `namespace()` makes: the only value that a template can change.
final class TemplateNamespace {
  var attributes: OrderedDictionary<String, TemplateValue>
  init(_ attributes: OrderedDictionary<String, TemplateValue>) { self.attributes = attributes }
}

/// A function, method or macro.
final class TemplateCallable {
  typealias Body = (TemplateInterpreter, TemplateArguments) throws -> TemplateValue

  let name: String
  let macro: TemplateMacro?
  let body: Body

  init(name: String, macro: TemplateMacro? = nil, body: @escaping Body) {
    self.name = name
    self.macro = macro
    self.body = body
  }
}

/// A string whose equality is that of its code points: Swift's own takes “é” and “e + accent” for the same.
struct ExactString: Hashable {
  let text: String
  init(_ text: String) { self.text = text }

  static func == (left: ExactString, right: ExactString) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

  func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
  }
}

/// A value as the key of a dictionary: `1`, `1.0` and `True` are the same key, as in Python.
enum TemplateKey: Hashable {
  case none
  case int(Int)
  case double(Double)
  case string(ExactString)
  case tuple([TemplateKey])
}

extension TemplateValue {
  static func list(_ elements: [TemplateValue]) throws -> TemplateValue { .sequence(try TemplateSequence(.list, elements)) }
  static func tuple(_ elements: [TemplateValue]) throws -> TemplateValue { .sequence(try TemplateSequence(.tuple, elements)) }

  fileprivate static func depth(around elements: [TemplateValue]) throws -> Int {
    let depth = 1 + (elements.lazy.map(\.depth).max() ?? 0)
    guard depth <= TemplateLimits.valueDepth else {
      throw TemplateFailure("a value nests deeper than \(TemplateLimits.valueDepth) levels", kind: .limit)
    }
    return depth
  }

  private var depth: Int {
    switch self {
    case .sequence(let sequence): sequence.depth
    case .dict(let dict): dict.depth
    case .iterator(let iterator): iterator.depth
    default: 0
    }
  }

  /// A literal's value.
  init(_ constant: TemplateConstant) {
    self =
      switch constant {
      case .none: .none
      case .bool(let value): .bool(value)
      case .int(let value): .int(value)
      case .double(let value): .double(value)
      case .string(let value): .string(value)
      }
  }

  /// A JSON value's counterpart.
  /// - Throws: where the nesting is deeper than the limit.
  init(_ json: JSON) throws {
    switch json {
    case .null: self = .none
    case .bool(let value): self = .bool(value)
    case .int(let value): self = .int(value)
    case .double(let value): self = .double(value)
    case .string(let value): self = .string(value)
    case .array(let elements): self = try .list(elements.map { try TemplateValue($0) })
    case .object(let members):
      var converted = TemplateDict.Members()
      for (key, value) in members { converted[.string(ExactString(key))] = (.string(key), try TemplateValue(value)) }
      self = .dict(try TemplateDict(converted))
    }
  }

  /// Python's truth value.
  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let value): value
    case .int(let value): value != 0
    case .double(let value): value != 0
    case .string(let value), .markup(let value): !value.isEmpty
    case .sequence(let value): !value.elements.isEmpty
    case .dict(let value): !value.members.isEmpty
    case .iterator, .namespace, .loop, .callable: true
    }
  }

  /// The value with a marked-up string taken for a plain one.
  var unmarked: TemplateValue {
    if case .markup(let text) = self { return .string(text) }
    return self
  }

  var isUndefined: Bool {
    if case .undefined = self { return true }
    return false
  }

  /// The value as a whole number, where Python would accept it as an index.
  var index: Int? {
    switch self {
    case .int(let value): value
    case .bool(let value): value ? 1 : 0
    default: nil
    }
  }

  /// The value as a number.
  var number: Double? {
    if case .double(let value) = self { return value }
    return index.map(Double.init)
  }

  /// The name of the Python type.
  var typeName: String {
    switch self {
    case .undefined: "Undefined"
    case .none: "NoneType"
    case .bool: "bool"
    case .int: "int"
    case .double: "float"
    case .string, .markup: "str"
    case .sequence(let value):
      switch value.kind {
      case .list: "list"
      case .tuple: "tuple"
      case .range: "range"
      case .keys: "dict_keys"
      case .values: "dict_values"
      case .items: "dict_items"
      }
    case .dict: "dict"
    case .iterator(let value): value.typeName
    case .namespace: "Namespace"
    case .loop: "LoopContext"
    case .callable(let value): value.macro == nil ? "function" : "Macro"
    }
  }

  /// The value as an error about a missing attribute names it.
  var ownerName: String {
    if case .none = self { return "None" }
    return typeName + " object"
  }
}
