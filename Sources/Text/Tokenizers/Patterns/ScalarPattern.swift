/// A regular expression over scalars, as `tokenizer.json` files use them in the syntax of Oniguruma.
///
/// Supported: alternatives, groups, `(?i:…)`, `(?m:…)`, look-ahead, atomic groups, greedy, lazy and possessive repetition, classes
/// with nesting, negation and `&&`, `\p{…}` for general categories and common scripts, `\s \d \w \h` and their opposites, anchors.
/// Back-references and look-behind are refused. Matching takes time linear in the text: see ``PatternMatcher``.
struct ScalarPattern: Sendable, Hashable {
  /// The expression as it was given.
  let expression: String
  let program: PatternProgram

  /// Reads an expression.
  ///
  /// - Throws: ``PatternError`` naming what is malformed or not supported, and the scalar it stands at.
  init(_ expression: String) throws(PatternError) {
    self.expression = expression
    var parser = PatternParser(expression)
    program = try PatternProgram(try parser.parse())
  }
}

/// What is wrong with a regular expression.
struct PatternError: Error, Sendable, Hashable, CustomStringConvertible {
  let problem: String

  var description: String { problem }
}
