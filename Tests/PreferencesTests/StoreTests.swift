import Foundation
import GRDB
import OrderedCollections
import Preferences
import TestSupport
import Testing
import Text

@Suite struct StoreTests {
  @Test func verdictsOutliveTheProgram() throws {
    let folder = try TemporaryFolder()
    let pair: Int64
    do {
      let store = try PreferenceStore(folder.path("s.sqlite"))
      pair = try store.add(.text("Q"), answers: [.text("one"), .text("two")])[0].id
      try store.register(Rater("ann", kind: .person))
      try store.record(Verdict(.a, shown: .ba, reason: "shorter", date: Date(timeIntervalSince1970: 86400)), on: pair, by: "ann")
    }
    let verdicts = try PreferenceStore(folder.path("s.sqlite"), creating: false).verdicts()
    #expect(verdicts.count == 1)
    #expect(verdicts[0].rater == Rater("ann", kind: .person))
    #expect(verdicts[0].verdict == Verdict(.a, shown: .ba, reason: "shorter", date: Date(timeIntervalSince1970: 86400)))
    #expect(verdicts[0].pair == pair)
  }

  @Test func theSamePairIsOnePairInEitherOrder() throws {
    let store = try PreferenceStore()
    let one = try store.add(.text("Q"), answers: [.text("x"), .text("y")])[0]
    let other = try store.add(.text("Q"), answers: [.text("y"), .text("x")])[0]
    #expect(one.isNew && !other.isNew)
    #expect(one.id == other.id)
    #expect((other.a, other.b) == (one.b, one.a))
    #expect(try store.add(.text("another Q"), answers: [.text("x"), .text("y")])[0].isNew)
    #expect(try store.add(.text("Q"), answers: [.text("x"), .text("x")]).isEmpty)
    #expect(try store.add(.text("Q"), answers: [.text("x"), .text("y"), .text("z"), .text("x")]).count { $0.isNew } == 2)
  }

  @Test func textsComeBackAsTheyWere() throws {
    let store = try PreferenceStore()
    let calls: JSON = ["type": "function", "function": ["name": "f", "arguments": ["b": 1, "a": 2.0]]]
    let prompt = Passage.messages([
      Message(role: "system", content: "Be “brief”."), Message(role: "user", content: "日本\n🙂", extra: ["name": "Eve"]),
    ])
    let answer = Passage.messages([Message(role: "assistant", content: nil, toolCalls: [calls])])
    let added = try store.add(
      prompt, tools: "[{\"name\":\"f\"}]", answers: [answer, .messages([Message(role: "assistant", content: "no")])])
    let pair = try store.pair(added[0].id)
    #expect(pair.prompt == prompt)
    #expect(pair.tools == "[{\"name\":\"f\"}]")
    #expect((added[0].a == 0 ? pair.a : pair.b) == answer)
  }

  @Test func aNameIsOneRaters() throws {
    let store = try PreferenceStore()
    let judge = Rater("smol", kind: .judge, model: "smollm2", rubric: "brief", combination: .mean(margin: 0.1))
    try store.register(judge)
    try store.register(judge)
    #expect(try store.raters() == [judge])
    let error = #expect(throws: PreferenceError.self) {
      try store.register(Rater("smol", kind: .judge, model: "smollm2", rubric: "long", combination: .mean(margin: 0.1)))
    }
    #expect(error?.description.contains("with another rubric") == true)
  }

  @Test func failuresGoWithALaterVerdict() throws {
    let store = try PreferenceStore()
    let pair = try store.add(.text("Q"), answers: [.text("x"), .text("y")])[0].id
    try store.register(Rater("j", kind: .judge, combination: .agreement))
    try store.record(failure: "timed out", on: pair, shown: .ba, by: "j")
    try store.record(failure: "said nothing", on: pair, shown: .ba, by: "j")
    #expect(try store.failures(of: "j").map(\.problem) == ["said nothing"])
    try store.record(Verdict(.a, shown: .ab), on: pair, by: "j")
    #expect(try store.failures(of: "j").count == 1)
    #expect(try store.pairs(awaiting: "j", shown: .ba) == [pair])
    #expect(try store.pairs(awaiting: "j", shown: .ab).isEmpty)
    try store.record(Verdict(.a, shown: .ba), on: pair, by: "j")
    #expect(try store.failures(of: "j").isEmpty)
  }

  @Test func otherFilesAreRefused() throws {
    let folder = try TemporaryFolder()
    #expect(throws: PreferenceError.self) { try PreferenceStore(folder.path("none.sqlite"), creating: false) }
    #expect(!FileManager.default.fileExists(atPath: folder.path("none.sqlite")))
    let text = try folder.write(String(repeating: "no database, but a text. ", count: 100), to: "text.sqlite")
    #expect(throws: PreferenceError.self) { try PreferenceStore(text) }
    try DatabaseQueue(path: folder.path("other.sqlite")).write { try $0.execute(sql: "CREATE TABLE prompts (id)") }
    let error = #expect(throws: PreferenceError.self) { try PreferenceStore(folder.path("other.sqlite")) }
    #expect(error?.description.contains("something else") == true)
  }

  @Test func storesOfLaterVersionsAreLeftAlone() throws {
    let folder = try TemporaryFolder()
    _ = try PreferenceStore(folder.path("s.sqlite"))
    try DatabaseQueue(path: folder.path("s.sqlite")).write {
      try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('99: of a later version')")
    }
    let error = #expect(throws: PreferenceError.self) { try PreferenceStore(folder.path("s.sqlite")) }
    #expect(error?.description.contains("newer Attune") == true)
  }

  @Test func aDamagedFileIsAnError() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("s.sqlite")
    do {
      let store = try PreferenceStore(path)
      for number in 0..<50 {
        try store.add(.text("Q \(number)"), answers: [.text(String(repeating: "x", count: 500)), .text("y")])
      }
    }
    var bytes = try Data(contentsOf: URL(filePath: path))
    for place in stride(from: 4096, to: bytes.count, by: 97) { bytes[place] ^= 0xFF }
    try bytes.write(to: URL(filePath: path))
    #expect(throws: PreferenceError.self) {
      let store = try PreferenceStore(path)
      for pair in try store.pairs() { _ = try store.pair(pair) }
      _ = try PreferenceStatistics(store)
    }
  }
}
