import OrderedCollections
import Text

/// One row of a data file, before it is known what its keys mean.
public struct Row: Sendable, Hashable {
  /// Where it stands.
  public var location: SourceLocation
  /// Its fields, in their order.
  public var fields: OrderedDictionary<String, JSON>

  /// A row.
  public init(location: SourceLocation, fields: OrderedDictionary<String, JSON>) {
    self.location = location
    self.fields = fields
  }

  /// The names of the fields that hold something other than `null`.
  public var filledKeys: Set<String> { Set(fields.filter { !$0.value.isNull }.keys) }

  /// The value of a field; nil where it is missing or `null`.
  subscript(key: String) -> JSON? {
    guard let value = fields[key], !value.isNull else { return nil }
    return value
  }

  /// The text of a field that has to be there.
  func text(_ key: String) throws(RowProblem) -> String {
    guard let text = try optionalText(key) else { throw missing(key, expected: "text") }
    return text
  }

  /// The text of a field; nil where it is missing or `null`.
  func optionalText(_ key: String) throws(RowProblem) -> String? {
    guard let value = self[key] else { return nil }
    guard let text = value.string else { throw wrong(key, value, expected: "text") }
    return text
  }

  /// The number of a field; nil where it is missing or `null`.
  func optionalNumber(_ key: String) throws(RowProblem) -> Double? {
    guard let value = self[key] else { return nil }
    guard let number = value.double, number.isFinite else { throw wrong(key, value, expected: "a number") }
    return number
  }

  /// The elements of a list that has to be there.
  func list(_ key: String) throws(RowProblem) -> [JSON] {
    guard let value = self[key] else { throw missing(key, expected: "a list") }
    guard let list = value.array else { throw wrong(key, value, expected: "a list") }
    return list
  }

  /// The complaint that a field is not there.
  func missing(_ field: String, expected: String) -> RowProblem {
    let keys = fields.keys.map { "“\($0)”" }.joined(separator: ", ")
    let found = fields.isEmpty ? "the row is empty" : "the row has \(keys)"
    return RowProblem(location, field: field, "is missing; \(found)", cure: "Give it \(expected)")
  }

  /// The complaint that a field holds another kind of value.
  func wrong(_ field: String, _ value: JSON, expected: String) -> RowProblem {
    RowProblem(location, field: field, "is \(value.kind) where \(expected) should stand", cure: "Write \(expected) there")
  }
}

extension JSON {
  /// The kind of value in words, for messages.
  var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a truth value"
    case .int, .double: "a number"
    case .string: "text"
    case .array: "a list"
    case .object: "an object"
    }
  }
}
