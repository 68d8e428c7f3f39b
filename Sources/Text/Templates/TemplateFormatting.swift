import Foundation

/// How one value is laid out by `%` formatting or `str.format`.
struct TemplateFormatSpec {
  var fill: Unicode.Scalar = " "
  var alignment: Unicode.Scalar?
  var sign: Unicode.Scalar = "-"
  var isAlternate = false
  var groups: Unicode.Scalar?
  var width = 0
  var precision: Int?
  var type: Unicode.Scalar?

  /// The widest field and longest fraction allowed.
  static let limit = 10_000
}

/// Python's two ways of formatting text: `"%s" % value` and `"{}".format(value)`.
struct TemplateFormatting {
  let budget: TemplateBudget

  // MARK: one value

  func text(of value: TemplateValue, _ spec: TemplateFormatSpec) throws -> String {
    let isNumber = value.number != nil
    let body: String
    switch (value, spec.type) {
    case (.string(let text), nil), (.string(let text), "s"): body = cut(text, spec)
    case (_, nil) where !isNumber, (_, "s"): body = cut(try TemplatePrinter.string(of: value, budget), spec)
    case (.bool, nil): body = try TemplatePrinter.string(of: value, budget)
    default:
      guard isNumber else {
        throw TemplateFailure("a \(value.typeName) cannot be formatted as “\(spec.type.map(String.init) ?? "")”")
      }
      body = try number(value, spec)
    }
    return try padded(body, spec, isNumber: isNumber)
  }

  private func cut(_ text: String, _ spec: TemplateFormatSpec) -> String {
    spec.precision.map { String(text.unicodeScalars.prefix($0)) } ?? text
  }

  private func padded(_ body: String, _ spec: TemplateFormatSpec, isNumber: Bool) throws -> String {
    let missing = spec.width - body.unicodeScalars.count
    guard missing > 0 else { return body }
    try budget.charge(repeating: 4, count: missing)
    let fill = { (count: Int) in String(repeating: String(spec.fill), count: count) }
    switch spec.alignment ?? (isNumber ? ">" : "<") {
    case "<": return body + fill(missing)
    case "^": return fill(missing / 2) + body + fill(missing - missing / 2)
    case "=":
      let signed = body.hasPrefix("-") || body.hasPrefix("+") || body.hasPrefix(" ")
      return String(body.prefix(signed ? 1 : 0)) + fill(missing) + String(body.dropFirst(signed ? 1 : 0))
    default: return fill(missing) + body
    }
  }

  private func number(_ value: TemplateValue, _ spec: TemplateFormatSpec) throws -> String {
    let digits: String
    switch spec.type {
    case "d", "i", "u",
      nil where value.index != nil, "b", "o", "x", "X", "c":
      digits = try whole(value, spec)
    case nil where spec.precision == nil: digits = JSON.python(abs(value.number ?? 0))
    default: digits = try real(abs(value.number ?? 0), spec)
    }
    guard spec.type != "c" else { return digits }
    let isNegative = value.number.map { $0.sign == .minus && !$0.isNaN } ?? false
    let sign = isNegative ? "-" : spec.sign == "-" ? "" : String(spec.sign)
    return sign + digits
  }

  private func whole(_ value: TemplateValue, _ spec: TemplateFormatSpec) throws -> String {
    guard let whole = value.index else { throw TemplateFailure("a \(value.typeName) cannot be formatted as a whole number") }
    switch spec.type {
    case "b": return (spec.isAlternate ? "0b" : "") + String(whole.magnitude, radix: 2)
    case "o": return (spec.isAlternate ? "0o" : "") + String(whole.magnitude, radix: 8)
    case "x": return (spec.isAlternate ? "0x" : "") + String(whole.magnitude, radix: 16)
    case "X": return (spec.isAlternate ? "0X" : "") + String(whole.magnitude, radix: 16, uppercase: true)
    case "c":
      guard let scalar = UInt32(exactly: whole).flatMap(UnicodeScalar.init) else {
        throw TemplateFailure("\(whole) is not a character")
      }
      return String(scalar)
    default: return grouped(String(whole.magnitude), spec.groups)
    }
  }

  private func real(_ value: Double, _ spec: TemplateFormatSpec) throws -> String {
    let precision = spec.precision ?? 6
    let isUpper = spec.type.map { $0.properties.isUppercase } ?? false
    guard value.isFinite else { return isUpper ? (value.isNaN ? "NAN" : "INF") : value.isNaN ? "nan" : "inf" }
    try budget.charge(bytes: precision + 320)
    switch spec.type {
    case "f", "F": return grouped(String(format: "%.*f", Int32(precision), value), spec.groups)
    case "e", "E": return String(format: isUpper ? "%.*E" : "%.*e", Int32(precision), value)
    case "g", "G", nil: return grouped(String(format: isUpper ? "%.*G" : "%.*g", Int32(max(precision, 1)), value), spec.groups)
    case "%": return grouped(String(format: "%.*f", Int32(precision), value * 100), spec.groups) + "%"
    default: throw TemplateFailure("unknown format code “\(spec.type.map(String.init) ?? "")”")
    }
  }

  private func grouped(_ digits: String, _ separator: Unicode.Scalar?) -> String {
    guard let separator else { return digits }
    let whole = digits.prefix { $0.isNumber }
    var out = ""
    for (place, digit) in whole.enumerated() {
      if place > 0, (whole.count - place) % 3 == 0 { out.unicodeScalars.append(separator) }
      out.append(digit)
    }
    return out + digits.dropFirst(whole.count)
  }

  // MARK: the small languages

  /// A whole number at the front of `text`, removed from it.
  func number(in text: inout Substring.UnicodeScalarView) throws -> Int? {
    let digits = String(text.prefix { ("0"..."9").contains($0) })
    guard !digits.isEmpty else { return nil }
    guard let number = Int(digits), number <= TemplateFormatSpec.limit else {
      throw TemplateFailure("a width or precision of more than \(TemplateFormatSpec.limit)", kind: .limit)
    }
    text.removeFirst(digits.utf8.count)
    return number
  }

  func append(_ piece: String, to out: inout String) throws {
    try budget.charge(appending: piece.utf8.count, to: out.utf8.count)
    out += piece
  }

  // MARK: percent

  /// Python's `format % values`.
  func percent(_ format: String, _ values: TemplateValue) throws -> String {
    var positional: [TemplateValue] = [values]
    if case .sequence(let tuple) = values, tuple.kind == .tuple { positional = tuple.elements }
    var used = 0
    var out = ""
    var rest = Substring(format).unicodeScalars
    while let percent = rest.firstIndex(of: "%") {
      try append(String(rest[..<percent]), to: &out)
      rest = rest[rest.index(after: percent)...]
      let (spec, name) = try percentSpec(&rest)
      if spec.type == "%" {
        try append("%", to: &out)
        continue
      }
      let value: TemplateValue
      if let name {
        guard case .dict(let dict) = values else { throw TemplateFailure("format requires a mapping") }
        guard let named = dict[name] else { throw TemplateFailure("the format names '\(name)', which is not given") }
        value = named
      } else {
        guard used < positional.count else { throw TemplateFailure("not enough arguments for format string") }
        value = positional[used]
        used += 1
      }
      try append(try percentText(value, spec), to: &out)
    }
    try append(String(rest), to: &out)
    if case .dict = values { return out }
    guard used == positional.count else { throw TemplateFailure("not all arguments converted during string formatting") }
    return out
  }

  private func percentSpec(_ rest: inout Substring.UnicodeScalarView) throws -> (TemplateFormatSpec, name: String?) {
    var spec = TemplateFormatSpec()
    spec.alignment = ">"
    var name: String?
    if rest.first == "(" {
      guard let end = rest.firstIndex(of: ")") else { throw TemplateFailure("incomplete format key") }
      name = String(rest[rest.index(after: rest.startIndex)..<end])
      rest = rest[rest.index(after: end)...]
    }
    while let flag = rest.first, ["-", "+", " ", "0", "#"].contains(flag) {
      rest.removeFirst()
      switch flag {
      case "-": spec.alignment = "<"
      case "0" where spec.alignment != "<": (spec.fill, spec.alignment) = ("0", "=")
      case "#": spec.isAlternate = true
      case "+", " ": spec.sign = flag
      default: break
      }
    }
    spec.width = try number(in: &rest) ?? 0
    if rest.first == "." {
      rest.removeFirst()
      spec.precision = try number(in: &rest) ?? 0
    }
    guard let type = rest.popFirst() else { throw TemplateFailure("incomplete format") }
    spec.type = type
    return (spec, name)
  }

  private func percentText(_ value: TemplateValue, _ spec: TemplateFormatSpec) throws -> String {
    var spec = spec
    if spec.fill == "0", spec.type == "s" || spec.type == "r" { spec.fill = " " }
    switch spec.type {
    case "s": return try text(of: .string(try TemplatePrinter.string(of: value, budget)), spec)
    case "r", "a":
      spec.type = "s"
      return try text(of: .string(try TemplatePrinter.representation(of: value, budget)), spec)
    case "d", "i", "u":
      spec.type = "d"
      guard case .double = value else { return try text(of: value, spec) }
      return try text(of: try TextNumber.integer(value, base: 10) ?? value, spec)
    case "c":
      if case .string(let text) = value, text.unicodeScalars.count == 1 { return try padded(text, spec, isNumber: false) }
      return try text(of: value, spec)
    case "f", "F", "e", "E", "g", "G", "x", "X", "o": return try text(of: value, spec)
    default: throw TemplateFailure("unsupported format character “\(spec.type.map(String.init) ?? "")”")
    }
  }
}
