import Foundation
import TestSupport
import Testing
import Text

@Suite struct LabelTests {
  let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    let rows = (0..<4).map { #"{"prompt": "Question \#($0)?", "answers": ["alpha \#($0)", "beta \#($0)"]}"# }
    try folder.write(rows.joined(separator: "\n") + "\n", to: "pairs.jsonl")
  }

  private func label(_ arguments: String..., keys: String = "") throws -> Program.Result {
    try Program.run(arguments: ["label"] + arguments, input: keys, in: folder)
  }

  private func start(keys: String, rater: String = "ann") throws -> Program.Result {
    try label("--store", "s.sqlite", "--input", "pairs.jsonl", "--rater", rater, keys: keys)
  }

  @Test func keysOutOfAPipeMakePreferences() throws {
    let first = try start(keys: "a\nb\nq")
    #expect(first.status == 0, "\(first.errors)")
    #expect(first.output.contains("1 of 4") && first.output.contains("Question 2?"))
    #expect(first.errors.contains("ann: 2 labelled in this sitting, 2 of 4 left"))
    let second = try start(keys: "tua?t")
    #expect(second.output.contains("3 of 4") && !second.output.contains("Question 0?"))
    #expect(second.output.contains("“?” is no key here"))
    #expect(second.output.hasSuffix("all pairs are labelled\n"))
    let export = try label("export", "--store", "s.sqlite")
    let rows = try export.jsonLines
    #expect(rows.map { $0["prompt"]?.string } == ["Question 0?", "Question 1?", "Question 2?"])
    // What was chosen is what stood first on the screen, or second.
    for (row, text, takesFirst) in [
      (rows[0], first.output, true), (rows[1], first.output, false), (rows[2], second.output, true),
    ] {
      let chosen = try #require(row["chosen"]?.string)
      let rejected = try #require(row["rejected"]?.string)
      let places = try [chosen, rejected].map { try #require(text.range(of: $0)).lowerBound }
      #expect((places[0] < places[1]) == takesFirst)
    }
    #expect(export.errors.contains("3 preferences; left out: 1 ties, 0 with too few opinions"))
  }

  @Test func whatIsExportedCanBeTunedOn() throws {
    _ = try start(keys: "abab")
    #expect(try label("export", "--store", "s.sqlite", "--output", "p.jsonl").status == 0)
    let inspected = try Program.run("data", "inspect", "p.jsonl", "--format", "preference", in: folder)
    #expect(inspected.status == 0, "\(inspected.errors)")
  }

  @Test func agreementOfTwo() throws {
    _ = try start(keys: "abat")
    _ = try start(keys: "aabn\u{63}learer\nt", rater: "bob")
    let json = try label("stats", "--store", "s.sqlite", "--json").json
    #expect(json["pairs"] == 4)
    #expect(json["raters"]?.array?.map { $0["name"]?.string } == ["ann", "bob"])
    #expect(json["raters"]?[0]?["verdicts"]?["tie"] == 1)
    #expect(json["agreements"]?[0]?["pairs"] == 4)
    let text = try label("stats", "--store", "s.sqlite")
    #expect(text.output.contains("ann, bob") && text.output.contains("Cohen's kappa"))
    let everything = try label("export", "--store", "s.sqlite", "--everything").output
    #expect(everything.contains(#""reason":"clearer""#))
    try folder.write(everything, to: "all.jsonl")
    #expect(try label("import", "--store", "t.sqlite", "all.jsonl").errors.contains("4 new pairs, 8 verdicts"))
    #expect(try label("export", "--store", "t.sqlite", "--everything").output == everything)
  }

  @Test func aNarrowTerminalShowsOneBelowTheOther() throws {
    let long = Array(repeating: "word", count: 60).joined(separator: " ")
    try folder.write(#"{"prompt": "Q", "answers": ["\#(long)", "\#(long) more 漢字"]}"#, to: "pairs.jsonl")
    for columns in [1, 8, 30, 59, 60, 100] {
      let result = try Program.run(
        arguments: ["label", "--store", "s\(columns).sqlite", "--input", "pairs.jsonl", "--rater", "ann"], input: "q", in: folder,
        environment: ["COLUMNS": "\(columns)"])
      #expect(result.status == 0)
      let lines = result.output.split(separator: "\n").dropLast()
      for line in lines { #expect(String(line).displayWidth <= max(2, columns)) }
      #expect(lines.contains { $0.contains("│") } == (columns >= 60))
    }
  }

  @Test func mistakesAreNamed() throws {
    let none = try label("--store", "none.sqlite", "--rater", "ann")
    #expect(none.status == 1 && none.errors.contains("there is no preference store at none.sqlite"))
    try folder.write("{\"prompt\": \"Q\", \"answers\": [\"x\", \"y\"]}\n{\"answers\": []}\n", to: "bad.jsonl")
    let bad = try label("--store", "s.sqlite", "--input", "bad.jsonl", "--rater", "ann")
    #expect(bad.status == 1 && bad.errors.contains("bad.jsonl:2: "))
    try folder.write("no database", to: "text.sqlite")
    #expect(try label("stats", "--store", "text.sqlite").errors.contains("is no SQLite file"))
    _ = try start(keys: "a")
    #expect(try label("export", "--store", "s.sqlite", "--rater", "eve").errors.contains("no rater “eve”; there is ann"))
    #expect(try label("export", "--store", "s.sqlite", "--everything", "--rater", "ann").status == 2)
  }
}
