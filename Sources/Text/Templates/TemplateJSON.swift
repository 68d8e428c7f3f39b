import OrderedCollections

/// Writes values as Python's `json.dumps` does, which is what `tojson` means in Hugging Face's templates.
struct TemplateJSON {
  /// The options of `tojson`.
  struct Layout {
    var escapesNonASCII = false
    var indent: String?
    var itemSeparator = ", "
    var keySeparator = ": "
    var sortsKeys = false

    /// Options from the arguments `ensure_ascii`, `indent`, `separators` and `sort_keys`.
    init(_ given: TemplateParameters) throws {
      escapesNonASCII = given.flag(0)
      sortsKeys = given.flag(3)
      if case .string(let text) = given[1] {
        indent = text
      } else if let width = try given.int(1) {
        guard width <= 256 else { throw TemplateFailure("tojson() indents by at most 256 spaces", kind: .limit) }
        indent = String(repeating: " ", count: max(width, 0))
      }
      if indent != nil { itemSeparator = "," }
      guard let separators = given[2] else { return }
      if case .none = separators { return }
      guard case .sequence(let pair) = separators, pair.elements.count == 2, case .string(let item) = pair.elements[0],
        case .string(let key) = pair.elements[1]
      else { throw TemplateFailure("tojson() needs two strings for 'separators'") }
      (itemSeparator, keySeparator) = (item, key)
    }
  }

  private let layout: Layout
  private let budget: TemplateBudget
  private var out = ""
  private var level = 0

  static func text(of value: TemplateValue, _ layout: Layout, _ budget: TemplateBudget) throws -> String {
    var writer = TemplateJSON(layout: layout, budget: budget)
    try writer.write(value)
    return writer.out
  }

  private init(layout: Layout, budget: TemplateBudget) {
    self.layout = layout
    self.budget = budget
  }

  private mutating func append(_ piece: String) throws {
    try budget.charge(appending: piece.utf8.count, to: out.utf8.count)
    out += piece
  }

  private mutating func write(_ value: TemplateValue) throws {
    switch value {
    case .none: try append("null")
    case .bool(let value): try append(value ? "true" : "false")
    case .int(let value): try append(String(value))
    case .double(let value): try append(Self.number(value))
    case .string(let text): try append(quoted(text))
    case .sequence(let sequence) where sequence.kind == .list || sequence.kind == .tuple:
      try write(sequence.elements, "[", "]") { writer, element in try writer.write(element) }
    case .dict(let dict):
      let members = try dict.members.values.map { (key: try Self.key($0.key), value: $0.value) }
      let ordered = layout.sortsKeys ? members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) } : members
      try write(ordered, "{", "}") { writer, member in
        try writer.append(try writer.quoted(member.key) + writer.layout.keySeparator)
        try writer.write(member.value)
      }
    default: throw TemplateFailure("Object of type \(value.typeName) is not JSON serializable")
    }
  }

  private mutating func write<Item>(
    _ items: [Item], _ opening: String, _ closing: String, _ each: (inout TemplateJSON, Item) throws -> Void
  ) throws {
    guard !items.isEmpty else { return try append(opening + closing) }
    try append(opening)
    level += 1
    for (place, item) in items.enumerated() {
      if place > 0 { try append(layout.itemSeparator) }
      try breakLine()
      try each(&self, item)
    }
    level -= 1
    try breakLine()
    try append(closing)
  }

  private mutating func breakLine() throws {
    guard let indent = layout.indent else { return }
    try budget.charge(repeating: indent.utf8.count, count: level)
    try append("\n" + String(repeating: indent, count: level))
  }

  private static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    return value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : JSON.python(value)
  }

  private static func key(_ key: TemplateValue) throws -> String {
    switch key {
    case .string(let text): return text
    case .none: return "null"
    case .bool(let value): return value ? "true" : "false"
    case .int(let value): return String(value)
    case .double(let value): return number(value)
    default: throw TemplateFailure("keys must be str, int, float, bool or None, not \(key.typeName)")
    }
  }

  private func quoted(_ text: String) throws -> String {
    try budget.charge(bytes: text.utf8.count)
    var format = JSON.Format.compact
    format.escapesNonASCII = layout.escapesNonASCII
    return JSON.string(text).text(format)
  }
}
