import Testing

@testable import Text

@Suite struct TokenizerPatternTests {
  /// The words of a text by a pattern, and what lies between them.
  private func pieces(_ splitter: Splitter, _ text: String) -> [String] {
    let bytes = Array(text.utf8)
    var matcher = PatternMatcher()
    return bytes.withUnsafeBufferPointer { buffer in
      splitter.segments(of: buffer, 0..<buffer.count, scratch: &matcher)
        .map { String(decoding: buffer[$0.start..<$0.end], as: UTF8.self) }
    }
  }

  private func pieces(_ expression: String, _ text: String) throws -> [String] {
    pieces(.pattern(try ScalarPattern(expression)), text)
  }

  /// The scanners are checked against the expressions they stand for, run by the general engine.
  @Test(arguments: [
    (WordPattern.gpt2, WordPattern.gpt2Expression), (.cl100k(digits: 1), WordPattern.cl100kExpression(digits: 1)),
    (.cl100k(digits: 3), WordPattern.cl100kExpression(digits: 3)),
  ])
  func scannersEqualTheirExpressions(_ pattern: WordPattern, _ expression: String) throws {
    #expect(WordPattern(expression: expression) == pattern)
    let general = Splitter.pattern(try ScalarPattern(expression))
    let parts: [String] = [
      "a", "Zz", "é", "漢", "ß", "1", "²", "٣", " ", "  ", "\t", "\n", "\r\n", "\u{A0}", "\u{3000}", "'", "'s", "'S", "'ll", "'Re",
      "'ſ", "'v", ".", "!?", "😀", "\u{301}", "\u{200D}", "\0", "_", "\u{2028}",
    ]
    var random = SeededGenerator(seed: 11)
    for _ in 0..<2000 {
      let text = (0..<Int.random(in: 0...12, using: &random)).map { _ in parts.randomElement(using: &random) ?? "" }.joined()
      #expect(pieces(.words(pattern), text) == pieces(general, text), "\(text.debugDescription)")
    }
  }

  @Test(arguments: [
    ("a+?b|c", "aabxc", ["aab", "x", "c"]), ("a++a|b", "aaab", ["aaa", "b"]), ("(?>a|ab)c|b", "abc", ["a", "b", "c"]),
    ("(?i:straSSe)+", "StrasseSTRASSE!", ["StrasseSTRASSE", "!"]), ("[a-c&&[^b]]+", "abcab", ["a", "b", "ca", "b"]),
    ("\\x{1F600}|\\u0041", "A😀B", ["A", "😀", "B"]), ("^b|b$", "b\nab", ["b", "\na", "b"]),
    ("\\bx", "x ax x", ["x", " ax ", "x"]),
    ("(?=b)", "abab", ["a", "", "ba", "", "b"]), ("[^\\W\\d]+", "ab12_c", ["ab", "12", "_c"]),
    ("a{2,3}", "aaaaaaa", ["aaa", "aaa", "a"]),
    ("a{,2}b", "aaab", ["a", "aab"]), ("\\p{Han}+|\\P{^Lu}", "漢字aB", ["漢字", "a", "B"]), ("(?!ab)a.", "abac", ["ab", "ac"]),
  ])
  func splits(_ expression: String, _ text: String, _ expected: [String]) throws {
    #expect(try pieces(expression, text) == expected)
  }

  @Test(arguments: [
    ("(?<=a)b", "look-behind"), ("(a)\\1", "“\\1” is not supported"), ("(a", "not closed"), ("a)", "without its"),
    ("[a", "not closed"),
    ("*a", "nothing to repeat"), ("\\p{Klingon}", "Klingon"), ("a{9999}", "more than 1000"), ("[z-a]", "backwards"),
    ("\\", "backslash"),
    ("((a{1000}){1000})", "too large"), ("\\x{110000}", "not the number of a scalar"), ("(?s:.)", "“s” is not supported"),
  ])
  func refusesWithAReason(_ expression: String, _ reason: String) {
    #expect { try ScalarPattern(expression) } throws: { "\($0)".contains(reason) }
  }

  @Test func refusesBottomlessNesting() {
    #expect(throws: PatternError.self) { try ScalarPattern(String(repeating: "(", count: 100_000)) }
    #expect(throws: PatternError.self) { try ScalarPattern(String(repeating: "[", count: 100_000)) }
    #expect(throws: PatternError.self) { try ScalarPattern("(?:a|b){1000}") }
  }

  @Test(.timeLimit(.minutes(1))) func copiesOfNothingCostNothing() throws {
    #expect(try pieces("(?:(?:(?:(?:){1000}){1000}){1000}){1000}b", "abc") == ["a", "b", "c"])
  }

  /// Each of these takes a plain backtracking matcher quadratic or exponential time.
  @Test(
    .timeLimit(.minutes(1)), arguments: ["(?:a*)*b", "(?:a|aa)+c", "a*a*a*a*b", "\\s*[\\r\\n]+", "(?:a|a)*?b", "a++b", "a+(?=b)"])
  func takesLinearTime(_ expression: String) throws {
    for unit in ["a", " "] {
      let text = String(repeating: unit, count: 20_000)
      #expect(try pieces(expression, text) == [text])
    }
  }
}

/// SplitMix64: the same numbers on every machine.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }
}
