import Preferences
import Testing

@Suite struct StatisticsTests {
  /// Two raters and 50 items: 20 times both yes, 15 times both no, 5 and 10 times apart. pₒ = 0.7, pₑ = 0.5·0.6 + 0.5·0.4 = 0.5,
  /// κ = 0.2/0.5.
  @Test func kappaByHand() throws {
    let counts = [(true, true, 20), (true, false, 5), (false, true, 10), (false, false, 15)]
    let agreement = Agreement(counts.flatMap { first, second, count in Array(repeating: (first, second), count: count) })
    #expect(agreement.share == 0.7)
    #expect(abs(try #require(agreement.kappa) - 0.4) < 1e-12)
  }

  @Test func kappaAtItsEnds() {
    #expect(Agreement([(1, 1), (2, 2)]).kappa == 1)
    #expect(Agreement([(1, 2), (2, 1)]).kappa == -1)
    #expect(Agreement([(1, 1), (1, 1)]).kappa == nil)
    #expect(Agreement([(Int, Int)]()).kappa == nil && Agreement([(Int, Int)]()).share == nil)
    // One rater who always says the same agrees by chance alone.
    #expect(Agreement([(1, 1), (1, 2), (1, 1), (1, 3)]).kappa == 0)
  }

  /// The example with four observers, twelve units and missing values of Krippendorff (2011), section D: nominal α = 0.743.
  @Test func alphaOfThePaper() throws {
    let observers: [[Int?]] = [
      [1, 2, 3, 3, 2, 1, 4, 1, 2, nil, nil, nil],
      [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nil, 3],
      [nil, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nil],
      [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nil],
    ]
    let units = (0..<12).map { unit in observers.compactMap { $0[unit] } }
    #expect(abs(try #require(krippendorffAlpha(units)) - 0.743) < 0.0005)
  }

  /// Two raters, items (a a) (a b) (b b): n(a) = n(b) = 3, o(a, b) + o(b, a) = 2, α = 1 − 5·2/18.
  @Test func alphaByHand() throws {
    let alpha = try #require(krippendorffAlpha([["a", "a"], ["a", "b"], ["b", "b"], ["a"]]))
    #expect(abs(alpha - 8.0 / 18) < 1e-12)
    #expect(krippendorffAlpha([["a", "a"], ["a", "a"]]) == nil)
    #expect(krippendorffAlpha([[String]]()) == nil)
    #expect(krippendorffAlpha([["a", "a"], ["b", "b"]]) == 1)
  }

  @Test func storesInNumbers() throws {
    let store = try PreferenceStore()
    let pairs = try (0..<4).map { try store.add(.text("Q \($0)"), answers: [.text("x"), .text("y")])[0].id }
    for name in ["ann", "bob"] { try store.register(Rater(name, kind: .person)) }
    try store.register(Rater("j", kind: .judge, combination: .agreement))
    let ofAnn: [Choice] = [.a, .b, .tie, .skip]
    let ofBob: [Choice] = [.a, .a, .tie]
    for (pair, choice) in zip(pairs, ofAnn) { try store.record(Verdict(choice, shown: .ab), on: pair, by: "ann") }
    for (pair, choice) in zip(pairs, ofBob) { try store.record(Verdict(choice, shown: .ba), on: pair, by: "bob") }
    // Agrees with itself; prefers what comes first; prefers what comes second; lacks an order.
    for (pair, choices) in zip(pairs, [(Choice.a, Choice.a), (.a, .b), (.b, .a)]) {
      try store.record(Verdict(choices.0, shown: .ab), on: pair, by: "j")
      try store.record(Verdict(choices.1, shown: .ba), on: pair, by: "j")
    }
    try store.record(Verdict(.a, shown: .ab), on: pairs[3], by: "j")
    let statistics = try PreferenceStatistics(store)
    #expect(statistics.pairs == 4 && statistics.prompts == 4)
    let (ann, judge) = (statistics.raters[0], statistics.raters[2])
    #expect(ann.choices == [.a: 1, .b: 1, .tie: 1, .skip: 1])
    #expect((ann.opinions, ann.ties, ann.decided, ann.choseFirst) == (3, 1, 2, 1))
    #expect((judge.opinions, judge.ties) == (3, 2))
    #expect((judge.bothOrders, judge.consistent, judge.alwaysFirst, judge.alwaysSecond) == (3, 1, 1, 1))
    #expect((judge.decided, judge.choseFirst) == (7, 4))
    let both = try #require(statistics.agreements.first { $0.first == "ann" && $0.second == "bob" })
    #expect((both.agreement.items, both.agreement.agreed) == (3, 2))
    // (a a a) (b a tie) (tie tie tie): n = 9, n(a) = 4, n(b) = 1, n(tie) = 4; the middle item has 6 ordered pairs, over 2.
    let alpha = try #require(statistics.alpha)
    let expected = 1 - 8.0 * 3 / 48
    #expect(abs(alpha - expected) < 1e-12)
  }

  @Test func meansOverBothOrders() throws {
    let store = try PreferenceStore()
    let pairs = try (0..<3).map { try store.add(.text("Q \($0)"), answers: [.text("x"), .text("y")])[0].id }
    try store.register(Rater("j", kind: .judge, combination: .mean(margin: 0.05)))
    // 0.9 and 0.3 on average 0.6; 0.9 and 0.12 on average 0.51, within the margin; 0.8 and 0.05.
    for (pair, values) in zip(pairs, [(0.9, 0.3), (0.9, 0.12), (0.8, 0.05)]) {
      try store.record(Verdict(.a, shown: .ab, probability: values.0), on: pair, by: "j")
      try store.record(Verdict(.b, shown: .ba, probability: values.1), on: pair, by: "j")
    }
    #expect(try store.opinions().map(\.choice) == [.a, .tie, .b])
  }
}
