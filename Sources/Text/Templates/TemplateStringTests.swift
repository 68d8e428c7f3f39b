/// The methods of Python's `str` that ask about its characters.
enum TemplateStringTests {
  static let all: [String: TemplateMethods.Body] = [
    "isalpha": every("isalpha", isLetter),
    "isdigit": every("isdigit") { isDecimal($0) || $0.properties.numericType == .digit },
    "isdecimal": every("isdecimal", isDecimal),
    "isnumeric": every("isnumeric", isNumeric),
    "isalnum": every("isalnum") { isLetter($0) || isNumeric($0) },
    "isspace": every("isspace", TemplateSpace.contains),
    "isascii": test("isascii") { $0.utf8.allSatisfy { $0 < 0x80 } },
    "isprintable": test("isprintable") { $0.unicodeScalars.allSatisfy(TemplatePrinter.isPrintable) },
    "isidentifier": test("isidentifier", isIdentifier),
    "islower": test("islower", isLower),
    "isupper": test("isupper", isUpper),
    "istitle": test("istitle", isTitle),
  ]

  private static func test(_ name: String, _ holds: @escaping @Sendable (String) -> Bool) -> TemplateMethods.Body {
    { interpreter, value, arguments in
      _ = try arguments.bind(name)
      guard case .string(let text) = value else { throw TemplateFailure("\(name) needs a string") }
      try interpreter.budget.charge(bytes: text.utf8.count)
      return .bool(holds(text))
    }
  }

  private static func every(
    _ name: String, _ holds: @escaping @Sendable (Unicode.Scalar) -> Bool
  ) -> TemplateMethods.Body {
    test(name) { !$0.isEmpty && $0.unicodeScalars.allSatisfy(holds) }
  }

  private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
    default: false
    }
  }

  private static func isDecimal(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.generalCategory == .decimalNumber }
  private static func isNumeric(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.numericType != nil }

  private static func isIdentifier(_ text: String) -> Bool {
    guard let first = text.unicodeScalars.first, first == "_" || first.properties.isXIDStart else { return false }
    return text.unicodeScalars.dropFirst().allSatisfy(\.properties.isXIDContinue)
  }

  /// True where there is a cased character and every one is lower case.
  static func isLower(_ text: String) -> Bool {
    text.unicodeScalars.contains(where: \.properties.isLowercase)
      && !text.unicodeScalars.contains { $0.properties.isUppercase || $0.properties.generalCategory == .titlecaseLetter }
  }

  /// True where there is a cased character and every one is upper case.
  static func isUpper(_ text: String) -> Bool {
    text.unicodeScalars.contains(where: \.properties.isUppercase)
      && !text.unicodeScalars.contains { $0.properties.isLowercase || $0.properties.generalCategory == .titlecaseLetter }
  }

  private static func isTitle(_ text: String) -> Bool {
    var insideWord = false
    var found = false
    for scalar in text.unicodeScalars {
      if scalar.properties.isUppercase || scalar.properties.generalCategory == .titlecaseLetter {
        guard !insideWord else { return false }
        found = true
        insideWord = true
      } else if scalar.properties.isLowercase {
        guard insideWord else { return false }
      } else {
        insideWord = false
      }
    }
    return found
  }
}
