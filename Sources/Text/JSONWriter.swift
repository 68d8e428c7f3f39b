import OrderedCollections

extension JSON {
  /// How a value is laid out as text.
  public struct Format: Sendable, Hashable {
    /// What stands between the elements of an array or object.
    public var itemSeparator: String
    /// What stands between a key and its value.
    public var keySeparator: String
    /// Spaces per level; nil for one line.
    public var indent: Int?
    /// Keys in ascending order instead of their own.
    public var sortsKeys: Bool
    /// Characters outside ASCII written as `\uXXXX`.
    public var escapesNonASCII: Bool

    /// A format of one's own.
    public init(
      itemSeparator: String = ",", keySeparator: String = ":", indent: Int? = nil, sortsKeys: Bool = false,
      escapesNonASCII: Bool = false
    ) {
      self.itemSeparator = itemSeparator
      self.keySeparator = keySeparator
      self.indent = indent
      self.sortsKeys = sortsKeys
      self.escapesNonASCII = escapesNonASCII
    }

    /// One line, no spaces.
    public static let compact = Format()
    /// One line as Python's `json.dumps` writes it.
    public static let python = Format(itemSeparator: ", ", keySeparator: ": ")
    /// Two spaces a level.
    public static let pretty = Format(keySeparator: ": ", indent: 2)
  }

  /// The value as JSON text. A double that is not finite, which JSON cannot hold, becomes `null`.
  public func text(_ format: Format = .compact) -> String {
    var out = ""
    write(into: &out, format, level: 0)
    return out
  }

  private func write(into out: inout String, _ format: Format, level: Int) {
    switch self {
    case .null: out += "null"
    case .bool(let value): out += value ? "true" : "false"
    case .int(let value): out += String(value)
    case .double(let value): out += value.isFinite ? JSON.python(value) : "null"
    case .string(let value): JSON.write(value, into: &out, format)
    case .array(let elements):
      JSON.write(elements, between: ("[", "]"), into: &out, format, level: level) { element, out in
        element.write(into: &out, format, level: level + 1)
      }
    case .object(let members):
      let pairs = format.sortsKeys ? members.elements.sorted { $0.key < $1.key } : Array(members.elements)
      JSON.write(pairs, between: ("{", "}"), into: &out, format, level: level) { member, out in
        JSON.write(member.key, into: &out, format)
        out += format.keySeparator
        member.value.write(into: &out, format, level: level + 1)
      }
    }
  }

  private static func write<Item>(
    _ items: [Item], between brackets: (String, String), into out: inout String, _ format: Format, level: Int,
    _ each: (Item, inout String) -> Void
  ) {
    out += brackets.0
    for (index, item) in items.enumerated() {
      if index > 0 { out += format.indent == nil ? format.itemSeparator : "," }
      if let indent = format.indent { out += "\n" + String(repeating: " ", count: indent * (level + 1)) }
      each(item, &out)
    }
    if let indent = format.indent, !items.isEmpty { out += "\n" + String(repeating: " ", count: indent * level) }
    out += brackets.1
  }

  /// The shortest decimal that reads back as `value`, in the form Python's `repr` gives it: `1.0`, `1e-05`, `1e+16`.
  public static func python(_ value: Double) -> String {
    var text = "\(value)"
    guard let exponentMark = text.firstIndex(of: "e") else {
      return text
    }
    var mantissa = String(text[..<exponentMark])
    if mantissa.hasSuffix(".0") { mantissa.removeLast(2) }
    let exponent = Int(text[text.index(after: exponentMark)...]) ?? 0
    let digits = String(abs(exponent))
    text = mantissa + (exponent < 0 ? "e-" : "e+") + (digits.count < 2 ? "0" + digits : digits)
    return text
  }

  private static func write(_ string: String, into out: inout String, _ format: Format) {
    out += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\r": out += "\\r"
      case "\t": out += "\\t"
      case "\u{8}": out += "\\b"
      case "\u{C}": out += "\\f"
      default:
        if scalar.value < 0x20 || (format.escapesNonASCII && scalar.value > 0x7E) {
          for unit in String(scalar).utf16 {
            let digits = String(unit, radix: 16)
            out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
          }
        } else {
          out.unicodeScalars.append(scalar)
        }
      }
    }
    out += "\""
  }
}
