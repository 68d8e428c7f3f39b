import Foundation
import OrderedCollections

/// The filters (`value|name`) that templates may use.
enum TemplateFilters {
  typealias Filter = @Sendable (TemplateInterpreter, TemplateValue, TemplateArguments) throws -> TemplateValue

  static let all: [String: Filter] = text.merging(numbers) { $1 }.merging(TemplateSequenceFilters.all) { $1 }
    .merging(TemplateSelectionFilters.all) { $1 }.merging(values) { $1 }

  // MARK: any value

  private static let values: [String: Filter] = [
    "default": fallback,
    "d": fallback,
    "string": { interpreter, value, arguments in
      _ = try arguments.bind("string")
      return .string(try interpreter.text(of: value))
    },
    "attr": { interpreter, value, arguments in
      let given = try arguments.bind("attr", ["name"], required: 1)
      let name = try given.text(0) ?? ""
      if case .dict(let dict) = value, TemplateMethods.method(name, of: value) == nil {
        return .undefined(.attribute(name, of: TemplateValue.dict(dict).ownerName))
      }
      return try interpreter.attribute(name, of: value)
    },
    "tojson": { interpreter, value, arguments in
      let given = try arguments.bind("tojson", ["ensure_ascii", "indent", "separators", "sort_keys"])
      return .string(try TemplateJSON.text(of: value, try TemplateJSON.Layout(given), interpreter.budget))
    },
  ]

  private static let fallback: Filter = { _, value, arguments in
    let given = try arguments.bind("default", ["default_value", "boolean"])
    let isMissing = value.isUndefined || (given.flag(1) && !value.isTrue)
    return isMissing ? given[0] ?? .string("") : value
  }

  // MARK: text

  /// A filter on the text of any value.
  private static func onText(
    _ name: String, _ parameters: [String] = [], required: Int = 0,
    _ body: @escaping @Sendable (TemplateInterpreter, String, TemplateParameters) throws -> TemplateValue
  ) -> Filter {
    { interpreter, value, arguments in
      let given = try arguments.bind(name, parameters, required: required)
      let text = try interpreter.text(of: value)
      try interpreter.budget.charge(bytes: text.utf8.count)
      return try body(interpreter, text, given)
    }
  }

  private static let text: [String: Filter] = [
    "upper": onText("upper") { _, text, _ in .string(TextCase.upper(text)) },
    "lower": onText("lower") { _, text, _ in .string(TextCase.lower(text)) },
    "capitalize": onText("capitalize") { _, text, _ in .string(TextCase.capitalize(text)) },
    "title": onText("title") { _, text, _ in .string(TextCase.titleWords(text)) },
    "trim": onText("trim", ["chars"]) { _, text, given in .string(TextTrim.trim(text, try given.text(0))) },
    "safe": onText("safe") { _, text, _ in .markup(text) },
    "escape": onText("escape") { try escape($0, $1, $2) },
    "e": onText("e") { try escape($0, $1, $2) },
    "forceescape": onText("forceescape") { try escape($0, $1, $2) },
    "replace": onText("replace", ["old", "new", "count"], required: 2) { interpreter, text, given in
      let old = try interpreter.text(of: given[0] ?? .none)
      let new = try interpreter.text(of: given[1] ?? .none)
      return .string(try TemplateStringMethods.replace(interpreter, text, old, new, try given.int(2)))
    },
    "indent": onText("indent", ["width", "first", "blank"]) { try indent($0, $1, $2) },
    "truncate": onText("truncate", ["length", "killwords", "end", "leeway"]) { try truncate($0, $1, $2) },
    "center": onText("center", ["width"]) { interpreter, text, given in
      let center = TemplateStringMethods.all["center"]
      return try center?(interpreter, .string(text), TemplateArguments(positional: [given[0] ?? .int(80)])) ?? .string(text)
    },
    "wordcount": onText("wordcount") { _, text, _ in
      .int(text.unicodeScalars.split { !isWordPart($0) }.count)
    },
    "urlencode": onText("urlencode") { interpreter, text, _ in
      try interpreter.budget.charge(repeating: 3, count: text.utf8.count)
      return .string(text.utf8.reduce(into: "") { $0 += urlEncoded($1) })
    },
    "format": { interpreter, value, arguments in
      let formatting = TemplateFormatting(budget: interpreter.budget)
      let format = try interpreter.text(of: value)
      guard !arguments.named.isEmpty else {
        return .string(try formatting.percent(format, try .tuple(arguments.positional)))
      }
      guard arguments.positional.isEmpty else {
        throw TemplateFailure("can't handle positional and keyword arguments at the same time")
      }
      return .string(
        try formatting.percent(format, try interpreter.makeDict(arguments.named.map { (.string($0.key), $0.value) })))
    },
  ]

  private static func isWordPart(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "_" || scalar.properties.isAlphabetic || scalar.properties.numericType != nil
  }

  private static func urlEncoded(_ byte: UInt8) -> String {
    let scalar = UnicodeScalar(byte)
    let isPlain = byte < 0x80 && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
    if isPlain || ["_", ".", "-", "~", "/"].contains(scalar) { return String(scalar) }
    return "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
  }

  private static func escape(
    _ interpreter: TemplateInterpreter, _ text: String, _ given: TemplateParameters
  ) throws -> TemplateValue {
    .markup(try TextEscape.html(text, interpreter.budget))
  }

  private static func indent(
    _ interpreter: TemplateInterpreter, _ text: String, _ given: TemplateParameters
  ) throws -> TemplateValue {
    let margin: String
    if case .string(let text) = given[0] {
      margin = text
    } else {
      let width = try given.int(0) ?? 4
      try interpreter.budget.charge(repeating: 1, count: width)
      margin = String(repeating: " ", count: max(width, 0))
    }
    let lines = TextTrim.lines(text + "\n")
    try interpreter.budget.charge(repeating: margin.utf8.count + 1, count: lines.count + 1)
    let indented = lines.enumerated().map { place, line in
      (place > 0 && (given.flag(2) || !line.isEmpty)) || (place == 0 && given.flag(1)) ? margin + line : line
    }
    return .string(try TemplateStringMethods.joined(indented, "\n", interpreter.budget))
  }

  private static func truncate(
    _ interpreter: TemplateInterpreter, _ text: String, _ given: TemplateParameters
  ) throws -> TemplateValue {
    let length = try given.int(0) ?? 255
    let ending = try given.text(2) ?? "..."
    let scalars = text.unicodeScalars
    let leeway = try given.int(3) ?? 5
    guard length >= ending.unicodeScalars.count, leeway >= 0 else {
      throw TemplateFailure("truncate() needs a length of at least that of its end, and a leeway of 0 or more")
    }
    if scalars.count - min(leeway, scalars.count) <= length { return .string(text) }
    let kept = String(scalars.prefix(length - ending.unicodeScalars.count))
    let whole = given.flag(1) ? kept : TextSearch.split(kept, by: " ", limit: 1, fromEnd: true).first ?? kept
    return .string(whole + ending)
  }

  // MARK: numbers

  private static let numbers: [String: Filter] = [
    "int": { _, value, arguments in
      let given = try arguments.bind("int", ["default", "base"])
      return try TextNumber.integer(value, base: try given.int(1) ?? 10) ?? given[0] ?? .int(0)
    },
    "float": { _, value, arguments in
      let given = try arguments.bind("float", ["default"])
      if case .undefined(let undefined) = value { throw undefined.failure }
      return TextNumber.double(value).map(TemplateValue.double) ?? given[0] ?? .double(0)
    },
    "abs": { interpreter, value, arguments in
      _ = try arguments.bind("abs")
      guard let number = value.number else { throw TemplateFailure("bad operand type for abs(): '\(value.typeName)'") }
      return number < 0 ? try interpreter.arithmetic.unary(.minus, value) : try interpreter.arithmetic.unary(.plus, value)
    },
    "round": { _, value, arguments in
      let given = try arguments.bind("round", ["precision", "method"])
      return try rounded(value, precision: try given.int(0) ?? 0, method: try given.text(1) ?? "common")
    },
  ]

  private static func powerOfTen(_ exponent: Int) -> Int { (0..<exponent).reduce(1) { power, _ in power * 10 } }

  /// The nearest multiple, the even one of two equally near.
  private static func rounded(_ number: Int, toMultipleOf unit: Int) -> Int {
    let (quotient, remainder) = number.quotientAndRemainder(dividingBy: unit)
    let half = remainder.magnitude.multipliedReportingOverflow(by: 2)
    let isAbove = half.overflow || half.partialValue > unit.magnitude
    let isTie = half.partialValue == unit.magnitude && !quotient.isMultiple(of: 2)
    let away = isAbove || isTie ? (number < 0 ? -1 : 1) : 0
    return (quotient + away).multipliedReportingOverflow(by: unit).partialValue
  }

  private static func rounded(_ value: TemplateValue, precision: Int, method: String) throws -> TemplateValue {
    guard let number = value.number else { throw TemplateFailure("type \(value.typeName) cannot be rounded") }
    guard (-300...300).contains(precision) else { throw TemplateFailure("round() needs a precision from -300 to 300") }
    let scale = pow(10, Double(precision))
    switch method {
    case "ceil": return .double((number * scale).rounded(.up) / scale)
    case "floor": return .double((number * scale).rounded(.down) / scale)
    case "common":
      if case .int = value, precision >= 0 { return value }
      if case .int(let whole) = value, precision > -19 { return .int(rounded(whole, toMultipleOf: powerOfTen(-precision))) }
      guard precision >= 0, number.isFinite else { return .double((number * scale).rounded(.toNearestOrEven) / scale) }
      return .double(Double(String(format: "%.*f", Int32(precision), number)) ?? number)
    default: throw TemplateFailure("method must be common, ceil or floor")
    }
  }
}
