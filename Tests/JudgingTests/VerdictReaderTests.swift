import Preferences
import Testing

@testable import Judging

@Suite struct VerdictReaderTests {
  @Test(arguments: [
    ("A", Choice.a), ("b.", .b), ("Tie", .tie), ("**B**", .b), ("Answer A", .a), ("Answer B is better.", .b),
    (#"{"reason": "short", "verdict": "B"}"#, .b), (#"```json\#n{"verdict": "A"}\#n```"#, .a),
    ("<think>A is {good}, so B?</think>\n{\"verdict\": \"tie\"}", .tie), ("I compared them. [[A]]", .a), ("Verdict: C", .tie),
    ("Answer A rambles.\nVerdict: **B**", .b), (#"Look: {x} and then {"reason": "{ok}", "verdict": "a"}"#, .a),
  ])
  func verdicts(_ reply: String, _ choice: Choice) { #expect(VerdictReader.read(reply)?.choice == choice) }

  @Test(arguments: [
    "", "I cannot judge that.", "A or B", "Both are fine", #"{"reason": "none"}"#, #"{"verdict": 7}"#,
    #"{"verdict": "neither one"}"#,
    "{{{{{{}", "A Apple is a fruit", "Verdict: apple",
  ])
  func nonsense(_ reply: String) { #expect(VerdictReader.read(reply) == nil) }

  @Test func reasonsAreKept() {
    #expect(VerdictReader.read(#"{"reason": "It is right.", "verdict": "A"}"#)?.reason == "It is right.")
    #expect(VerdictReader.read("A")?.reason == nil)
  }
}
