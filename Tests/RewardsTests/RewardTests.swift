import OrderedCollections
import Rewards
import Testing
import Text

@Suite struct RewardTests {
  private func score(
    _ type: String, _ settings: OrderedDictionary<String, JSON>, _ completions: [Completion]
  ) throws -> RewardScores { try Rewards.make(type, settings).open().score(completions) }

  private func answers(_ texts: String..., columns: OrderedDictionary<String, JSON> = [:]) -> [Completion] {
    texts.map { Completion(prompt: "?", text: $0, columns: columns) }
  }

  @Test func exactMatchComparesWithAColumn() throws {
    let said = answers(" Paris \n", "paris", "London", columns: ["answer": "Paris"])
    #expect(try score("exact_match", [:], said).values == [1, 0, 0])
    #expect(try score("exact_match", ["ignore_case": true], said).values == [1, 1, 0])
    let sums = answers("1 + 1 = 3, no: #### 42", "42", "#### 41", columns: ["result": 42])
    #expect(try score("exact_match", ["column": "result", "extract": #"#### (\d+)"#], sums).values == [1, 0, 0])
  }

  @Test func aMissingColumnIsReportedOnceAndScoresNothing() throws {
    let scores = try score("exact_match", ["column": "gold"], answers("a", "b", columns: ["answer": "a"]))
    #expect(scores.values == [nil, nil])
    #expect(scores.problems.count == 1 && scores.problems[0].contains("“gold”") && scores.problems[0].contains("answer"))
  }

  @Test func regexSearchesOrTakesAll() throws {
    let said = answers("the answer is 7", "7", "seven\n7")
    #expect(try score("regex", ["pattern": #"\d"#], said).values == [1, 1, 1])
    #expect(try score("regex", ["pattern": #"\d"#, "mode": "full"], said).values == [0, 1, 0])
    #expect(try score("regex", ["pattern": "a|ab", "mode": "full"], answers("ab")).values == [1])
  }

  @Test func aPatternThatRunsAwayIsGivenUp() throws {
    let scores = try score("regex", ["pattern": "(a+)+$"], answers(String(repeating: "a", count: 40) + "b", "aa"))
    #expect(scores.values == [nil, 1])
    #expect(scores.problems.count == 1)
  }

  @Test func lengthFallsOffOutside() throws {
    let settings: OrderedDictionary<String, JSON> = ["unit": "words", "min": 2, "max": 3, "slope": 2]
    #expect(
      try score("length", settings, answers("", "a", "a b", "a b c", "a b c d", "a b c d e")).values == [0, 0.5, 1, 1, 0.5, 0])
    let tokens = [Completion(prompt: "", text: "abc", ids: [1, 2]), Completion(prompt: "", text: "a", ids: [1, 2, 3])]
    #expect(try score("length", ["max": 2], tokens).values == [1, 0])
    #expect(try score("length", ["max": 2, "unit": "characters"], tokens).values == [0, 1])
  }

  @Test(
    arguments: [
      ("nothing", [:], "known are"), ("regex", [:], "“pattern” is missing"), ("regex", ["pattern": "("], "no regular expression"),
      ("regex", ["pattern": "a", "flags": "i"], "“flags” is no key"), ("length", [:], "“max” is missing"),
      ("length", ["min": 3, "max": 2], "less than min"), ("command", ["timeout": 1], "“command” is missing"),
      ("command", ["command": "cat", "timeout": "soon"], "“timeout” must be a number"),
      ("json_schema", ["schema": ["type": "strang"]], "strang"), ("json_schema", ["partial": 2], "“partial” must be"),
    ] as [(String, OrderedDictionary<String, JSON>, String)])
  func settingsThatDoNotFitAreRefused(type: String, settings: OrderedDictionary<String, JSON>, says: String) {
    let error = #expect(throws: RewardError.self) { try Rewards.make(type, settings) }
    #expect(error?.description.contains(says) == true, "\(error?.description ?? "")")
  }

  @Test func settingsReadBackToTheSame() throws {
    let all: [(String, OrderedDictionary<String, JSON>)] = [
      ("exact_match", ["column": "a", "extract": "(b)", "ignore_case": true]), ("regex", ["pattern": "x", "mode": "full"]),
      ("json_schema", ["schema": ["type": "object"], "partial": 0.5]),
      ("length", ["unit": "words", "min": 1, "max": 9, "slope": 2]),
      ("command", ["command": ["sh", "-c", "cat"], "timeout": 2.5]),
    ]
    for (type, settings) in all {
      let made = try Rewards.make(type, settings)
      for (key, value) in settings { #expect(made.settings[key] == value, "\(type).\(key)") }
      #expect(try Rewards.make(type, made.settings).settings == made.settings)
    }
  }

  @Test func sumsAreWeightedAndLeaveOutWhatSaysNothing() {
    struct Given: Reward {
      let values: [Double?]
      func score(_ completions: [Completion]) -> RewardScores { RewardScores(values) }
    }
    let sum = RewardSum([
      .init("a", Given(values: [1, 2, nil, nil]), weight: 0.5), .init("b", Given(values: [4, nil, 3, nil]), weight: -1),
      .init("b", Given(values: [1]), weight: 9), .init("c", Given(values: [.nan, .infinity, 1, nil])),
    ])
    let scores = sum.score(answers("", "", "", ""))
    // 0.5·1 − 4; 0.5·2; −3 + 1; nothing
    #expect(scores.totals == [-3.5, 1, -2, nil])
    #expect(Array(scores.parts.keys) == ["a", "b", "b_2", "c"])
    #expect(scores.problems.count == 2, "\(scores.problems)")
  }
}
