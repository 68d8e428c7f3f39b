import Preferences
import Testing

@Suite struct LabelingTests {
  private func store(_ pairs: Int) throws -> PreferenceStore {
    let store = try PreferenceStore()
    for number in 0..<pairs { try store.add(.text("Q \(number)"), answers: [.text("left \(number)"), .text("right \(number)")]) }
    return store
  }

  @Test func whatIsChosenIsTheAnswerThatWasShown() throws {
    let store = try store(40)
    var session = try LabelingSession(store, rater: "ann", seed: 7)
    var first: [Int64: Passage] = [:]
    while let (pair, shown) = try session.current() {
      first[pair.id] = pair.shown(shown).first
      try session.decide(.a)
    }
    for (_, id, verdict) in try store.verdicts() {
      let pair = try store.pair(id)
      #expect((verdict.choice == .a ? pair.a : pair.b) == first[id])
      #expect(verdict.choosesFirst)
    }
    let orders = try store.verdicts().map(\.verdict.shown)
    #expect(orders.contains(.ab) && orders.contains(.ba))
  }

  @Test func sittingsGoOnWhereTheyStopped() throws {
    let store = try store(5)
    var session = try LabelingSession(store, rater: "ann", seed: 3)
    let first = try #require(try session.current())
    try session.decide(.tie)
    try session.decide(.skip)
    let third = try #require(try session.current())
    var next = try LabelingSession(store, rater: "ann", seed: 3)
    #expect(next.remaining == 3 && next.total == 5)
    #expect(try next.current()?.pair == third.pair)
    #expect(try next.current()?.shown == third.shown)
    #expect(try next.undo())
    #expect(try next.undo())
    #expect(try next.current()?.pair == first.pair)
    #expect(try next.current()?.shown == first.shown)
    #expect(try !next.undo())
    #expect(next.remaining == 5)
    #expect(try store.verdicts().isEmpty)
  }

  @Test func skippedPairsComeBackWhereAskedFor() throws {
    let store = try store(2)
    var session = try LabelingSession(store, rater: "ann")
    try session.decide(.skip)
    try session.decide(.b)
    #expect(try session.current() == nil)
    var again = try LabelingSession(store, rater: "ann", showingSkipped: true)
    #expect(again.remaining == 1)
    try again.decide(.a, reason: "clearer")
    #expect(try store.verdicts().map(\.verdict.choice).contains(.skip) == false)
    #expect(try store.verdicts().count == 2)
  }

  @Test func ratersDoNotSeeEachOthersVerdicts() throws {
    let store = try store(3)
    var ann = try LabelingSession(store, rater: "ann")
    try ann.decide(.a)
    #expect(try LabelingSession(store, rater: "bob").remaining == 3)
    try store.register(Rater("smol", kind: .judge, combination: .agreement))
    #expect(throws: PreferenceError.self) { try LabelingSession(store, rater: "smol") }
  }
}

extension LabelingTests {
  @Test func undoReachesOnlyOnesOwn() throws {
    let store = try store(2)
    var ann = try LabelingSession(store, rater: "ann")
    var bob = try LabelingSession(store, rater: "bob")
    try ann.decide(.a)
    #expect(try !bob.undo())
    try bob.decide(.b)
    #expect(try ann.undo())
    #expect(try store.verdicts().map(\.rater.name) == ["bob"])
  }
}
