import Foundation

/// Numbers read from values as Python's `int` and `float` read them.
enum TextNumber {
  /// What Jinja's `int` filter makes of a value; nil where its default applies.
  static func integer(_ value: TemplateValue, base: Int) throws -> TemplateValue? {
    switch value {
    case .undefined(let undefined): throw undefined.failure
    case .string(let text):
      if let whole = integer(text, base: base) { return .int(whole) }
      return try double(text).flatMap(truncated)
    default:
      if let index = value.index { return .int(index) }
      return try value.number.flatMap(truncated)
    }
  }

  private static func truncated(_ number: Double) throws -> TemplateValue? {
    guard number.isFinite else { return nil }
    guard let whole = Int(exactly: number.rounded(.towardZero)) else {
      throw TemplateFailure("a whole number does not fit in 64 bits")
    }
    return .int(whole)
  }

  private static func integer(_ text: String, base: Int) -> Int? {
    guard base == 0 || (2...36).contains(base), var digits = plain(text) else { return nil }
    var isNegative = false
    if let sign = digits.first, sign == "-" || sign == "+" {
      isNegative = sign == "-"
      digits.removeFirst()
    }
    var radix = base == 0 ? 10 : base
    for (prefix, marked) in [("0x", 16), ("0o", 8), ("0b", 2)] where base == 0 || base == marked {
      guard digits.lowercased().hasPrefix(prefix) else { continue }
      digits.removeFirst(2)
      radix = marked
    }
    guard let first = digits.first, first != "-", first != "+" else { return nil }
    return Int((isNegative ? "-" : "") + digits, radix: radix)
  }

  /// What Python's `float` makes of a value; nil where it refuses.
  static func double(_ value: TemplateValue) -> Double? {
    if case .string(let text) = value { return double(text) }
    return value.number
  }

  private static func double(_ text: String) -> Double? {
    guard let digits = plain(text)?.lowercased() else { return nil }
    switch digits.hasPrefix("-") || digits.hasPrefix("+") ? String(digits.dropFirst()) : digits {
    case "inf", "infinity": return digits.hasPrefix("-") ? -Double.infinity : .infinity
    case "nan": return .nan
    default:
      let isDecimal = digits.utf8.allSatisfy { (0x30...0x39).contains($0) || [0x2B, 0x2D, 0x2E, 0x65].contains($0) }
      return isDecimal ? Double(digits.hasSuffix(".") ? digits + "0" : digits) : nil
    }
  }

  /// The text without surrounding white space and without underscores between digits; nil where one stands elsewhere.
  private static func plain(_ text: String) -> String? {
    let trimmed = TextTrim.trim(text)
    guard trimmed.utf8.contains(UInt8(ascii: "_")) else { return trimmed }
    let parts = TextSearch.split(trimmed, by: "_")
    let separates =
      parts.dropLast().allSatisfy { $0.last?.isHexDigit == true } && parts.dropFirst().allSatisfy { $0.first?.isHexDigit == true }
    return separates ? parts.joined() : nil
  }
}
