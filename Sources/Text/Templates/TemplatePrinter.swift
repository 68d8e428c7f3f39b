import OrderedCollections

/// Writes values as Python's `str` and `repr` do.
struct TemplatePrinter {
  private let budget: TemplateBudget
  private var text = ""
  private var depth = 0

  /// What `{{ value }}` prints.
  static func string(of value: TemplateValue, _ budget: TemplateBudget) throws -> String {
    switch value {
    case .undefined: return ""
    case .string(let text), .markup(let text): return text
    default: return try representation(of: value, budget)
    }
  }

  /// What Python's `repr` gives.
  static func representation(of value: TemplateValue, _ budget: TemplateBudget) throws -> String {
    var printer = TemplatePrinter(budget: budget)
    try printer.write(value)
    return printer.text
  }

  private init(budget: TemplateBudget) { self.budget = budget }

  private mutating func append(_ piece: String) throws {
    try budget.charge(appending: piece.utf8.count, to: text.utf8.count)
    text += piece
  }

  private mutating func write(_ value: TemplateValue) throws {
    depth += 1
    defer { depth -= 1 }
    guard depth <= TemplateLimits.valueDepth + 8 else {
      throw TemplateFailure("a value that holds itself is printed", kind: .limit)
    }
    switch value {
    case .undefined: try append("Undefined")
    case .none: try append("None")
    case .bool(let value): try append(value ? "True" : "False")
    case .int(let value): try append(String(value))
    case .double(let value): try append(JSON.python(value))
    case .string(let value), .markup(let value): try append(Self.quoted(value, budget))
    case .sequence(let value): try write(value)
    case .dict(let value): try write(value)
    case .namespace(let value):
      try append("<Namespace ")
      try write(pairs: value.attributes.map { (.string($0.key), $0.value) })
      try append(">")
    case .iterator, .loop, .callable:
      throw TemplateFailure("a \(value.typeName) cannot be printed: its text would be a memory address")
    }
  }

  private mutating func write(_ sequence: TemplateSequence) throws {
    switch sequence.kind {
    case .list: try write(items: sequence.elements, "[", "]")
    case .tuple: try write(items: sequence.elements, "(", sequence.elements.count == 1 ? ",)" : ")")
    case .keys: try write(items: sequence.elements, "dict_keys([", "])")
    case .values: try write(items: sequence.elements, "dict_values([", "])")
    case .items: try write(items: sequence.elements, "dict_items([", "])")
    case .range(let start, let end, let step):
      try append(step == 1 ? "range(\(start), \(end))" : "range(\(start), \(end), \(step))")
    }
  }

  private mutating func write(items: [TemplateValue], _ opening: String, _ closing: String) throws {
    try append(opening)
    for (index, item) in items.enumerated() {
      if index > 0 { try append(", ") }
      try write(item)
    }
    try append(closing)
  }

  private mutating func write(_ dict: TemplateDict) throws {
    try write(pairs: dict.members.values.map { ($0.key, $0.value) })
  }

  private mutating func write(pairs: [(TemplateValue, TemplateValue)]) throws {
    try append("{")
    for (index, pair) in pairs.enumerated() {
      if index > 0 { try append(", ") }
      try write(pair.0)
      try append(": ")
      try write(pair.1)
    }
    try append("}")
  }

  // MARK: strings

  private static func quoted(_ string: String, _ budget: TemplateBudget) throws -> String {
    try budget.charge(bytes: string.utf8.count)
    let quote: Unicode.Scalar = string.utf8.contains(UInt8(ascii: "'")) && !string.utf8.contains(UInt8(ascii: "\"")) ? "\"" : "'"
    var out = String.UnicodeScalarView([quote])
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\n": out.append(contentsOf: "\\n".unicodeScalars)
      case "\r": out.append(contentsOf: "\\r".unicodeScalars)
      case "\t": out.append(contentsOf: "\\t".unicodeScalars)
      case "\\", quote: out.append(contentsOf: ["\\", scalar])
      default:
        if isPrintable(scalar) { out.append(scalar) } else { out.append(contentsOf: escape(scalar).unicodeScalars) }
      }
    }
    out.append(quote)
    return String(out)
  }

  /// Python's `str.isprintable` for one character.
  static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return (0x20...0x7E).contains(scalar.value) }
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator:
      return false
    default: return true
    }
  }

  private static func escape(_ scalar: Unicode.Scalar) -> String {
    let digits = String(scalar.value, radix: 16)
    let (mark, width) = scalar.value <= 0xFF ? ("\\x", 2) : scalar.value <= 0xFFFF ? ("\\u", 4) : ("\\U", 8)
    return mark + String(repeating: "0", count: width - digits.count) + digits
  }
}
