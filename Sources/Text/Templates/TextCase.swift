/// Upper and lower case as Python's `str` has them: full Unicode mappings, no locale.
enum TextCase {
  static func upper(_ text: String) -> String {
    var out = ""
    for scalar in text.unicodeScalars { out += scalar.properties.uppercaseMapping }
    return out
  }

  static func lower(_ text: String) -> String {
    guard text.unicodeScalars.contains("Σ") else {
      return text.unicodeScalars.reduce(into: "") { $0 += $1.properties.lowercaseMapping }
    }
    let scalars = Array(text.unicodeScalars)
    var out = ""
    for (place, scalar) in scalars.enumerated() {
      out += scalar == "Σ" && isFinal(place, in: scalars) ? "ς" : scalar.properties.lowercaseMapping
    }
    return out
  }

  /// True where a sigma ends a word: a cased letter before it, none after, case-ignorable ones aside.
  private static func isFinal(_ place: Int, in scalars: [Unicode.Scalar]) -> Bool {
    let before = scalars[..<place].last { !$0.properties.isCaseIgnorable }
    let after = scalars[(place + 1)...].first { !$0.properties.isCaseIgnorable }
    return before?.properties.isCased == true && after?.properties.isCased != true
  }

  static func capitalize(_ text: String) -> String {
    guard let first = text.unicodeScalars.first else { return "" }
    return first.properties.titlecaseMapping + lower(String(text.unicodeScalars.dropFirst()))
  }

  static func title(_ text: String) -> String {
    var out = ""
    var insideWord = false
    for scalar in text.unicodeScalars {
      out += insideWord ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
      insideWord = scalar.properties.isCased
    }
    return out
  }

  static func swap(_ text: String) -> String {
    text.unicodeScalars.reduce(into: "") { out, scalar in
      out += scalar.properties.isUppercase ? scalar.properties.lowercaseMapping : scalar.properties.uppercaseMapping
    }
  }

  /// Words that a filter capitalises: Jinja's `title` starts a word after white space, hyphens and opening brackets.
  static func titleWords(_ text: String) -> String {
    var out = ""
    var word = String.UnicodeScalarView()
    func finish() {
      guard let first = word.first else { return }
      out += upper(String(first)) + lower(String(word.dropFirst()))
      word = String.UnicodeScalarView()
    }
    for scalar in text.unicodeScalars {
      if TemplateSpace.contains(scalar) || ["-", "(", "{", "[", "<"].contains(scalar) {
        finish()
        out.unicodeScalars.append(scalar)
      } else {
        word.append(scalar)
      }
    }
    finish()
    return out
  }
}
