import OrderedCollections
import Testing

@testable import Text

@Suite("Filters, tests and methods with arguments of every kind")
struct TemplateCallFuzzTests {
  private static let values = [
    "none", "true", "0", "-1", "3", "9223372036854775807", "(-9223372036854775807 - 1)", "1.5", "-0.0", "1e308", "'inf'|float",
    "'nan'|float", "''", "'a'", "'a,b c\\n'", "'é😀'", "'%d %s'", "'{} {0} {x:>3}'", "[]", "[1, 'a', none]", "[[1], [2]]",
    "(1, 2)", "()",
    "{}", "{'a': 1, 'b': [2]}", "missing", "range(3)", "range(9223372036854775806, 9223372036854775807)", "namespace(a=1)",
    "range",
    "[3, 1, 2]|map('string')", "{'a': 1}.items()", "'a'|safe", "dict(a='x' * 50)",
  ]

  /// Calls, with § for the value and ¶ for the arguments.
  private static let calls: [String] =
    TemplateFilters.all.keys.sorted().map { "(§)|\($0)(¶)" }
    + TemplateTests.all.keys.filter { $0.first?.isLetter == true }.sorted().map { "(§) is \($0)(¶)" }
    + (TemplateStringMethods.all.keys.sorted() + ["items", "keys", "values", "get", "copy", "append", "a", "pop"]).map {
      "(§).\($0)(¶)"
    }
    + ["range(§, ¶)", "dict(§, ¶)", "namespace(§)", "strftime_now(§)"]

  /// Operators, with § and ¶ for their operands.
  private static let operators: [String] =
    ["+", "-", "*", "/", "//", "%", "**", "~", "<", ">=", "==", "in", "and"].map { "(§) \($0) (¶)" }
    + ["-(§)", "(§)[¶]", "(§)[¶:]", "(§)[:¶]", "(§)[::¶]", "{§: ¶}", "[§]|sort|join(¶)", "(§) if (¶) else 0"]

  private static func filled(_ operation: String, _ value: String, _ argument: String) -> String {
    let parts = operation.split(separator: "§", omittingEmptySubsequences: false).joined(separator: value)
    return "{{ " + parts.split(separator: "¶", omittingEmptySubsequences: false).joined(separator: argument) + " }}"
  }

  @Test("every call on every value renders or throws")
  func calls() {
    let arguments = [
      "", "9223372036854775807", "-9223372036854775807 - 1", "'a'", "2", "[1]", "'b', 'c'", "'b', -5", "1, 'x', 3",
    ]
    var rendered = 0
    for call in Self.calls {
      for value in Self.values {
        for argument in arguments where Self.evaluates(Self.filled(call, value, argument)) { rendered += 1 }
      }
    }
    let tried = Self.calls.count * Self.values.count * arguments.count
    #expect(rendered > tried / 10 && rendered < tried * 9 / 10)
  }

  @Test("every operator on every pair of values renders or throws")
  func operators() {
    var rendered = 0
    for sign in Self.operators {
      for left in Self.values {
        for right in Self.values where Self.evaluates(Self.filled(sign, left, right)) { rendered += 1 }
      }
    }
    let tried = Self.operators.count * Self.values.count * Self.values.count
    #expect(rendered > tried / 10 && rendered < tried * 9 / 10)
  }

  /// True where a template renders; any error but a ``TemplateError`` would fail the test by its trap.
  private static func evaluates(_ source: String) -> Bool {
    do {
      let body = try TemplateParser.parse(source, template: "fuzz").body
      _ = try TemplateInterpreter.render(
        body, variables: [:], limits: TemplateLimits(steps: 500, textBytes: 1 << 16), clock: TemplateGoldens.clock,
        template: "fuzz")
      return true
    } catch {
      return false
    }
  }
}
