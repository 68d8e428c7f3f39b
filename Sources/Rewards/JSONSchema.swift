import Foundation
import OrderedCollections
import Text

/// A JSON Schema, of the keywords that describe one value without references: draft 2020-12's `type`, `enum`, `const`, bounds of
/// numbers, texts, lists and objects, `properties`, `items`, `anyOf`, `oneOf`, `allOf`, `not`.
///
/// Notes (`title`, `description`, `default`, `examples`, `format` …) are passed over, as the standard has it. A keyword that is not
/// known is refused, for it would be taken to be checked.
public struct JSONSchema: Sendable, Hashable {
  /// The schema as it was given.
  public let json: JSON
  private let rules: [Rule]

  private static let notes: Set<String> = [
    "title", "description", "default", "examples", "format", "$schema", "$id", "$comment", "readOnly", "writeOnly", "deprecated",
  ]

  /// Reads a schema.
  ///
  /// - Throws: ``Problem`` that says where and what.
  public init(_ json: JSON) throws(Problem) { try self.init(json, at: "$", depth: 0) }

  /// Why a schema cannot be used.
  public struct Problem: Error, Sendable, Hashable, CustomStringConvertible {
    /// Where and what.
    public let description: String
  }

  private init(_ json: JSON, at path: String, depth: Int) throws(Problem) {
    guard depth < 64 else { throw Problem(description: "\(path): it is nested more than 64 deep") }
    self.json = json
    if let allows = json.bool {
      rules = allows ? [] : [.never]
      return
    }
    guard let members = json.object else { throw Problem(description: "\(path) must be an object, or true or false") }
    let reader = Reader(members: members, path: path, depth: depth)
    var rules: [Rule] = []
    for key in members.keys where !Self.notes.contains(key) { rules += try reader.rules(key) }
    self.rules = rules
  }

  /// Why `value` does not fit: where and what; nil where it fits.
  public func mismatch(_ value: JSON) -> String? { mismatch(value, at: "$") }

  fileprivate func mismatch(_ value: JSON, at path: String) -> String? {
    for rule in rules {
      if let problem = rule.mismatch(value, at: path) { return problem }
    }
    return nil
  }

  /// One keyword.
  private indirect enum Rule: Sendable, Hashable {
    case never
    case types([String])
    case values([JSON])
    case number(String, Double)
    case length(String, Int)
    case count(String, Int)
    case unique
    case pattern(TextPattern)
    case required([String])
    case properties(OrderedDictionary<String, JSONSchema>, others: JSONSchema?)
    case items(first: [JSONSchema], others: JSONSchema?)
    case combined(String, [JSONSchema])
    case not(JSONSchema)

    func mismatch(_ value: JSON, at path: String) -> String? {
      switch self {
      case .never: "\(path): nothing is allowed here"
      case .types(let names):
        names.contains { value.isOf(type: $0) } ? nil : "\(path) is not of type \(names.joined(separator: " or "))"
      case .values(let allowed): allowed.contains { $0.equals(value) } ? nil : "\(path) is none of the values allowed"
      case .number(let keyword, let bound): value.double.flatMap { $0.keeps(keyword, bound) ? nil : "\(path) breaks \(keyword)" }
      case .length(let keyword, let bound):
        value.string.flatMap { $0.unicodeScalars.count.keeps(keyword, bound) ? nil : "\(path) breaks \(keyword)" }
      case .count(let keyword, let bound):
        (keyword.hasSuffix("Items") ? value.array?.count : value.object?.count).flatMap {
          $0.keeps(keyword, bound) ? nil : "\(path) breaks \(keyword)"
        }
      case .unique: value.array.flatMap { $0.hasEqualElements ? "\(path) holds a value twice" : nil }
      case .pattern(let pattern):
        value.string.flatMap {
          (try? pattern.matches($0, whole: false)) == true ? nil : "\(path) does not match “\(pattern.text)”"
        }
      case .required(let names):
        value.object.flatMap { object in names.first { object[$0] == nil }.map { "\(path) lacks “\($0)”" } }
      case .properties(let known, let others):
        value.object.flatMap { object in
          object.lazy.compactMap { (known[$0.key] ?? others)?.mismatch($0.value, at: "\(path).\($0.key)") }.first
        }
      case .items(let first, let others):
        value.array.flatMap { list in
          list.enumerated().lazy.compactMap { index, element in
            (index < first.count ? first[index] : others)?.mismatch(element, at: "\(path)[\(index)]")
          }.first
        }
      case .combined(let keyword, let schemas): combined(keyword, schemas, value, path)
      case .not(let schema): schema.mismatch(value, at: path) == nil ? "\(path) is what it must not be" : nil
      }
    }

    private func combined(_ keyword: String, _ schemas: [JSONSchema], _ value: JSON, _ path: String) -> String? {
      if keyword == "allOf" { return schemas.lazy.compactMap { $0.mismatch(value, at: path) }.first }
      let fitting = schemas.count { $0.mismatch(value, at: path) == nil }
      return (keyword == "oneOf" ? fitting == 1 : fitting > 0) ? nil : "\(path) fits \(fitting) of \(keyword)"
    }
  }

  /// Reads keywords.
  private struct Reader {
    let members: OrderedDictionary<String, JSON>
    let path: String
    let depth: Int

    func rules(_ key: String) throws(Problem) -> [Rule] {
      let value = members[key] ?? .null
      switch key {
      case "type": return [.types(try types(value))]
      case "enum": return [.values(try need(value.array, key, "a list"))]
      case "const": return [.values([value])]
      case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
        return [.number(key, try need(value.double, key, "a number"))]
      case "multipleOf": return [.number(key, try need(value.double.flatMap { $0 > 0 ? $0 : nil }, key, "a number above 0"))]
      case "minLength", "maxLength": return [.length(key, try count(value, key))]
      case "minItems", "maxItems", "minProperties", "maxProperties": return [.count(key, try count(value, key))]
      case "uniqueItems": return try need(value.bool, key, "true or false") ? [.unique] : []
      case "pattern": return [.pattern(try pattern(value))]
      case "required": return [.required(try texts(value, key))]
      case "properties": return [.properties(try schemas(of: value), others: try schema("additionalProperties"))]
      case "additionalProperties": return members["properties"] == nil ? [.properties([:], others: try schema(key))] : []
      case "prefixItems": return [.items(first: try list(key), others: try schema("items"))]
      case "items": return members["prefixItems"] == nil ? [.items(first: [], others: try schema(key))] : []
      case "anyOf", "oneOf", "allOf": return [.combined(key, try list(key))]
      case "not": return [.not(try JSONSchema(value, at: "\(path).not", depth: depth + 1))]
      default: throw Problem(description: "\(path): the keyword “\(key)” is not known here; describe the value without it")
      }
    }

    private func need<Value>(_ value: Value?, _ key: String, _ kind: String) throws(Problem) -> Value {
      guard let value else { throw Problem(description: "\(path).\(key) must be \(kind)") }
      return value
    }

    private func count(_ value: JSON, _ key: String) throws(Problem) -> Int {
      try need(value.int.flatMap { $0 >= 0 ? $0 : nil }, key, "a whole number from 0")
    }

    private func texts(_ value: JSON, _ key: String) throws(Problem) -> [String] {
      let list = try need(value.array, key, "a list of names")
      let texts = list.compactMap(\.string)
      return try need(texts.count == list.count ? texts : nil, key, "a list of names")
    }

    private func types(_ value: JSON) throws(Problem) -> [String] {
      let names = if let name = value.string { [name] } else { try texts(value, "type") }
      let known = ["null", "boolean", "integer", "number", "string", "array", "object"]
      guard let unknown = names.first(where: { !known.contains($0) }) else { return names }
      throw Problem(description: "\(path).type is “\(unknown)”; known are \(known.joined(separator: ", "))")
    }

    private func pattern(_ value: JSON) throws(Problem) -> TextPattern {
      let text = try need(value.string, "pattern", "a regular expression")
      do { return try TextPattern(text, key: "pattern") } catch { throw Problem(description: "\(path).\(error)") }
    }

    private func schema(_ key: String) throws(Problem) -> JSONSchema? {
      try members[key].map { value throws(Problem) in try JSONSchema(value, at: "\(path).\(key)", depth: depth + 1) }
    }

    private func schemas(of value: JSON) throws(Problem) -> OrderedDictionary<String, JSONSchema> {
      var schemas: OrderedDictionary<String, JSONSchema> = [:]
      for (name, json) in try need(value.object, "properties", "an object") {
        schemas[name] = try JSONSchema(json, at: "\(path).properties.\(name)", depth: depth + 1)
      }
      return schemas
    }

    private func list(_ key: String) throws(Problem) -> [JSONSchema] {
      var schemas: [JSONSchema] = []
      for (index, json) in try need(members[key]?.array, key, "a list of schemas").enumerated() {
        schemas.append(try JSONSchema(json, at: "\(path).\(key)[\(index)]", depth: depth + 1))
      }
      return try need(schemas.isEmpty ? nil : schemas, key, "a list of schemas")
    }
  }
}

extension JSON {
  fileprivate func isOf(type: String) -> Bool {
    switch (type, self) {
    case ("null", .null), ("boolean", .bool), ("string", .string), ("array", .array), ("object", .object): true
    case ("number", .int), ("number", .double), ("integer", .int): true
    case ("integer", .double(let value)): value == value.rounded()
    default: false
    }
  }

  /// Whether two values are one to JSON: 1 is 1.0, and keys have no order.
  fileprivate func equals(_ other: JSON) -> Bool {
    if let a = double, let b = other.double { return a == b }
    switch (self, other) {
    case (.array(let a), .array(let b)): return a.count == b.count && zip(a, b).allSatisfy { $0.equals($1) }
    case (.object(let a), .object(let b)):
      return a.count == b.count && a.allSatisfy { member in b[member.key].map { $0.equals(member.value) } ?? false }
    default: return self == other
    }
  }
}

extension [JSON] {
  fileprivate var hasEqualElements: Bool {
    indices.contains { index in self[..<index].contains { $0.equals(self[index]) } }
  }
}

extension Double {
  fileprivate func keeps(_ keyword: String, _ bound: Double) -> Bool {
    switch keyword {
    case "minimum": self >= bound
    case "maximum": self <= bound
    case "exclusiveMinimum": self > bound
    case "exclusiveMaximum": self < bound
    default: (self / bound).rounded() * bound == self
    }
  }
}

extension Int {
  fileprivate func keeps(_ keyword: String, _ bound: Int) -> Bool { keyword.hasPrefix("min") ? self >= bound : self <= bound }
}
