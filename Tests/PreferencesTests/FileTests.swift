import Foundation
import OrderedCollections
import Preferences
import TestSupport
import Testing
import Text

@Suite struct FileTests {
  @Test func preferencesComeAndGo() throws {
    let folder = try TemporaryFolder()
    let lines = (0..<20).map { #"{"prompt": "Q \#($0)", "chosen": "good \#($0)", "rejected": "bad \#($0)"}"# }
    let path = try folder.write(lines.joined(separator: "\n"), to: "p.jsonl")
    let store = try PreferenceStore()
    let first = try store.take(PairFile.read(path, chosenBy: "file"), withVerdicts: true)
    #expect((first.newPairs, first.verdicts, first.knownVerdicts) == (20, 20, 0))
    let again = try store.take(PairFile.read(path, chosenBy: "file"), withVerdicts: true)
    #expect((again.newPairs, again.knownPairs, again.verdicts, again.knownVerdicts) == (0, 20, 0, 20))
    let rows = try PreferenceExport(store).rows
    #expect(rows.map { $0["chosen"]?.string } == (0..<20).map { "good \($0)" })
    #expect(rows.map { $0["rejected"]?.string } == (0..<20).map { "bad \($0)" })
    #expect(rows[0]["votes"]?["chosen"] == 1)
    // Which answer is “a” does not follow from the file.
    #expect(Set(try store.verdicts().map(\.verdict.choice)) == [.a, .b])
  }

  @Test func conversationsAndRankings() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(
      #"""
      {"conversations": [{"from": "human", "value": "Hi"}], "chosen": {"from": "gpt", "value": "Hello!"}, "rejected": {"from": "gpt", "value": "What?"}}
      """#, to: "p.jsonl")
    let row = try #require(try PairFile.read(path, chosenBy: "file").first)
    #expect(row.prompt == .messages([Message(role: "user", content: "Hi")]))
    #expect(row.answers[1] == .messages([Message(role: "assistant", content: "What?")]))
  }

  @Test func severalAnswersMakeEveryPair() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(
      #"""
      {"prompt": [{"role": "user", "content": "Hi"}], "answers": ["x", "y", "z"]}

      {"prompt": "Q", "answers": ["same", "same"]}
      """#, to: "p.jsonl")
    let store = try PreferenceStore()
    let taken = try store.take(PairFile.read(path, chosenBy: "file"), withVerdicts: false)
    #expect((taken.newPairs, taken.equalAnswers) == (3, 1))
    #expect(try store.pair(1).a.plain.count == 1)
    #expect(try store.pair(1).source == "\(path):1")
  }

  @Test func everythingReadsBack() throws {
    let folder = try TemporaryFolder()
    let store = try PreferenceStore()
    let judge = Rater("j", kind: .judge, model: "m", rubric: "r", combination: .mean(margin: 0.1))
    let day = Date(timeIntervalSince1970: 1_000_000)
    for number in 0..<6 {
      let pair = try store.add(.text("Q \(number)"), answers: [.text("x \(number)"), .text("y")])[0].id
      try store.register(judge)
      try store.register(Rater("ann", kind: .person))
      try store.record(Verdict(.a, shown: .ab, probability: 0.75, date: day), on: pair, by: "j")
      try store.record(Verdict(.b, shown: .ba, probability: 0.25, date: day), on: pair, by: "j")
      try store.record(Verdict(.tie, shown: .ba, reason: "both “fine”", date: day), on: pair, by: "ann")
    }
    let lines = try PreferenceExport.everything(of: store).map { $0.text() }
    let path = try folder.write(lines.joined(separator: "\n"), to: "all.jsonl")
    let other = try PreferenceStore()
    #expect(try other.take(PairFile.read(path, chosenBy: "file"), withVerdicts: true).verdicts == 18)
    #expect(Set(try other.raters()) == Set(try store.raters()))
    #expect(try PreferenceExport.everything(of: other).map { $0.text() } == lines)
  }

  @Test func theMajorityDecides() throws {
    let store = try PreferenceStore()
    let pairs = try (0..<4).map { try store.add(.text("Q \($0)"), answers: [.text("x"), .text("y")])[0].id }
    let votes: [String: [Choice]] = ["ann": [.a, .a, .a, .skip], "bob": [.a, .b, .tie, .skip], "eve": [.b, .tie, .b, .skip]]
    for (name, choices) in votes {
      try store.register(Rater(name, kind: .person))
      for (pair, choice) in zip(pairs, choices) { try store.record(Verdict(choice, shown: .ab), on: pair, by: name) }
    }
    let all = try PreferenceExport(store)
    #expect(all.rows.count == 1 && all.ties == 2 && all.undecided == 1)
    #expect(all.rows[0]["votes"] == ["chosen": 2, "rejected": 1, "tie": 0])
    #expect(try PreferenceExport(store, raters: ["ann"]).rows.count == 3)
    #expect(try PreferenceExport(store, raters: ["ann", "bob"], minimum: 2).rows.count == 2)
    #expect(try PreferenceExport(store, raters: ["ann", "bob"], minimum: 3).undecided == 4)
    #expect(throws: PreferenceError.self) { try PreferenceExport(store, raters: ["nobody"]) }
  }

  @Test(arguments: [
    (#"{"answers": ["x", "y"]}"#, "“prompt” is missing"), (#"{"prompt": "Q", "answers": ["x"]}"#, "two answers or more"),
    (#"{"prompt": 3, "answers": ["x", "y"]}"#, "“prompt” must be text or a list of messages"),
    (#"{"prompt": "Q", "answers": ["x", {"role": "user"}]}"#, "“answers[1]”"),
    (#"{"prompt": [{"content": "x"}], "answers": ["x", "y"]}"#, "without a “role”"),
    (#"{"prompt": "Q", "answers": ["x", "y"], "verdicts": [{"rater": "r", "choice": "c"}]}"#, "“verdicts[0]”"),
    (#"{"prompt": "Q", "answers": ["x", "y"], "verdicts": [{"rater": "r", "choice": "a", "probability": 7}]}"#, "probability"),
  ])
  func badRowsAreNamed(_ line: String, _ problem: String) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(#"{"prompt": "Q", "answers": ["x", "y"]}"# + "\n" + line, to: "p.jsonl")
    let error = #expect(throws: PreferenceError.self) { try PairFile.read(path, chosenBy: "file") }
    #expect(error?.description.hasPrefix("\(path):2: ") == true)
    #expect(error?.description.contains(problem) == true)
  }
}
