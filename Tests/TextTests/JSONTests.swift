import Testing

@testable import Text

@Suite struct JSONTests {
  @Test(arguments: [
    #"{"b":1,"a":[true,false,null,1.5,-2e-05,"x\ny"],"":{}}"#,
    #"[]"#, #""é😀""#, #"-0.0"#, #"1e+16"#,
  ])
  func readsAndWritesBack(_ text: String) throws {
    #expect(try JSON(parsing: text).text() == text)
  }

  @Test func decodesSurrogatesAndEscapes() throws {
    #expect(try JSON(parsing: #""\ud83d\ude00\u00e9\/\ud800""#) == "😀é/\u{FFFD}")
  }

  @Test(arguments: [
    ("{\"a\" 1}", "line 1, column 6"), ("[1,\n 2,, 3]", "line 2, column 4"), ("\"abc", "not closed"), ("01", "not a number"),
    ("1 2", "something follows"), ("{\"a\":1,}", "expected a key"), ("nul", "expected null"), ("", "ends where a value"),
    ("1e999", "out of range"),
  ])
  func saysWhatIsWrongAndWhere(_ text: String, _ expected: String) {
    #expect { try JSON(parsing: text) } throws: { "\($0)".contains(expected) }
  }

  @Test func refusesBottomlessNesting() {
    #expect(throws: JSONError.self) { try JSON(parsing: String(repeating: "[", count: 1_000_000)) }
  }
}
