import Testing

@testable import Generation

@Suite struct StopMatcherTests {
  /// Everything that is shown of `text` in pieces of `size` characters, and whether a stop text was found.
  private func shown(_ text: String, _ stops: [String], size: Int) -> (text: String, isMatched: Bool) {
    var matcher = StopMatcher(stops)
    var shown = ""
    var rest = text.unicodeScalars[...]
    while !rest.isEmpty {
      shown += matcher.push(String(String.UnicodeScalarView(rest.prefix(size))))
      rest = rest.dropFirst(size)
    }
    return (shown + matcher.finish(), matcher.isMatched)
  }

  @Test(arguments: [1, 2, 3, 7, 100]) func piecesDoNotMatter(_ size: Int) {
    let cases: [(String, [String], String, Bool)] = [
      ("one two three", ["two"], "one ", true),
      ("one two three", ["four", "thre!"], "one two three", false),
      ("abcabd", ["abd"], "abc", true),
      ("aaaab", ["aab"], "aa", true),
      ("xabcd", ["abcd", "bc"], "xa", true),
      ("xabc", ["abc", "c"], "x", true),
      ("line\r\nnext", ["\n"], "line\r", true),
      ("e\u{301}t\u{301}", ["\u{301}t"], "e", true),
      ("é und ñ", ["ñ"], "é und ", true),
      ("ends with <", ["</s>"], "ends with <", false),
      ("", ["a"], "", false),
    ]
    for (text, stops, expected, isMatched) in cases {
      let result = shown(text, stops, size: size)
      #expect(result.text == expected && result.isMatched == isMatched, "\(text) \(stops)")
    }
  }

  @Test func whatMayBeginAStopIsHeldBack() {
    var matcher = StopMatcher(["<end>", "ed"])
    #expect(matcher.push("a<e") == "a")
    #expect(matcher.push("n") == "")
    #expect(matcher.push("x") == "<enx")
    #expect(matcher.push("<en") == "")
    #expect(matcher.push("d>b") == "")
    #expect(matcher.isMatched)
    #expect(matcher.push("c") == "" && matcher.finish() == "")
  }
}
