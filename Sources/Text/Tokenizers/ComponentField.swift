/// A JSON value of a tokenizer's file together with the path that leads to it, so that every complaint names its place.
struct ComponentField {
  let value: JSON
  let source: String
  let path: String

  func error(_ problem: String) -> TokenizerError { TokenizerError(source, path, problem) }

  /// The member `key`; nil where it is missing or null.
  subscript(key: String) -> ComponentField? {
    guard let member = value[key], !member.isNull else { return nil }
    return ComponentField(value: member, source: source, path: path.isEmpty ? key : "\(path).\(key)")
  }

  func required(_ key: String) throws(TokenizerError) -> ComponentField {
    guard let field = self[key] else { throw error("the key “\(key)” is missing") }
    return field
  }

  func elements() throws(TokenizerError) -> [ComponentField] {
    guard let array = value.array else { throw wrongType("an array") }
    return array.enumerated().map { ComponentField(value: $1, source: source, path: "\(path)[\($0)]") }
  }

  func string() throws(TokenizerError) -> String {
    guard let string = value.string else { throw wrongType("a string") }
    return string
  }

  func bool() throws(TokenizerError) -> Bool {
    guard let bool = value.bool else { throw wrongType("true or false") }
    return bool
  }

  func int() throws(TokenizerError) -> Int {
    guard let int = value.int else { throw wrongType("an integer") }
    return int
  }

  /// An id within the bounds of a vocabulary.
  func tokenID() throws(TokenizerError) -> Int32 {
    let id = try int()
    guard (0..<TokenTable.maximumCount).contains(id) else {
      throw error("the id \(id) is not in 0..<\(TokenTable.maximumCount)")
    }
    return Int32(id)
  }

  func bool(_ key: String, default fallback: Bool) throws(TokenizerError) -> Bool {
    guard let field = self[key] else { return fallback }
    return try field.bool()
  }

  func string(_ key: String, default fallback: String) throws(TokenizerError) -> String {
    guard let field = self[key] else { return fallback }
    return try field.string()
  }

  func wrongType(_ expected: String) -> TokenizerError { error("expected \(expected), found \(value.kind)") }
}

extension JSON {
  /// What sort of value this is, in words.
  fileprivate var kind: String {
    switch self {
    case .null: "null"
    case .bool(let value): value ? "true" : "false"
    case .int(let value): "\(value)"
    case .double(let value): "\(value)"
    case .string(let value): "the string “\(value.prefix(40))”"
    case .array: "an array"
    case .object: "an object"
    }
  }
}
