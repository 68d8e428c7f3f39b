import Foundation
import Judging
import OrderedCollections
import Preferences
import Synchronization
import TestSupport
import Testing
import Text

@Suite struct EndpointTests {
  private func store(_ pairs: Int) throws -> PreferenceStore {
    let store = try PreferenceStore()
    for number in 0..<pairs {
      try store.add(.text("Q \(number)?"), answers: [.text("good \(number)"), .text("bad \(number)")])
    }
    return store
  }

  private func run(
    _ store: PreferenceStore, _ endpoint: StubEndpoint, concurrency: Int = 2,
    _ change: (inout EndpointSettings) -> Void = { _ in }
  ) throws -> JudgeRun {
    var settings = EndpointSettings(base: try #require(URL(string: endpoint.base)), model: "stub")
    (settings.firstDelay, settings.concurrency, settings.timeout) = (0.001, concurrency, 20)
    change(&settings)
    let rater = Rater("stub", kind: .judge, model: "stub", rubric: Rubric.standard.text, combination: .agreement)
    return JudgeRun(store, as: rater, judge: EndpointJudge(settings, rubric: .standard))
  }

  /// Prefers the good answer.
  private static let fair: @Sendable (StubEndpoint.Request) -> StubEndpoint.Reply = { request in
    .text(#"{"reason": "it is good", "verdict": "\#(request.answer("A").hasPrefix("good") ? "A" : "B")"}"#)
  }

  @Test func bothOrdersAreJudgedAndKept() throws {
    let (store, endpoint) = (try store(10), try StubEndpoint(Self.fair))
    let report = try run(store, endpoint).run()
    #expect((report.judged, report.failed, report.total, report.ending) == (20, 0, 20, nil))
    let export = try PreferenceExport(store)
    #expect(export.rows.count == 10)
    #expect(export.rows.allSatisfy { $0["chosen"]?.string?.hasPrefix("good") == true })
    #expect(try store.verdicts().allSatisfy { $0.verdict.reason == "it is good" })
    let rater = try #require(try PreferenceStatistics(store).raters.first)
    #expect((rater.bothOrders, rater.consistent, rater.decided, rater.choseFirst) == (10, 10, 20, 10))
    let request = try #require(endpoint.requests.first)
    #expect(request.line.hasPrefix("POST /v1/chat/completions "))
    #expect(request.body["model"] == "stub" && request.body["temperature"] == 0.0)
    #expect(request.question.contains(Rubric.standard.text))
    // Nothing is left to do.
    #expect(try run(store, endpoint).run().total == 0)
  }

  @Test func aJudgeThatLikesTheFirstAnswerGivesTies() throws {
    let (store, endpoint) = (try store(5), try StubEndpoint { _ in .text("A") })
    _ = try run(store, endpoint).run()
    let export = try PreferenceExport(store)
    #expect(export.rows.isEmpty && export.ties == 5)
    let rater = try #require(try PreferenceStatistics(store).raters.first)
    #expect((rater.alwaysFirst, rater.consistent, rater.choseFirst, rater.decided) == (5, 0, 10, 10))
  }

  @Test func troubleIsSurvived() throws {
    let store = try store(8)
    let failed = Mutex<Set<String>>([])
    // Every question fails in its own way at first.
    let endpoint = try StubEndpoint { request in
      let isFirst = failed.withLock { $0.insert(request.question).inserted }
      guard isFirst else { return Self.fair(request) }
      switch request.number % 5 {
      case 0: return .status(500, body: "oops")
      case 1: return .status(429, headers: ["Retry-After": "0"], body: #"{"error": {"message": "slow down"}}"#)
      case 2: return .garbage("this is no HTTP\r\n")
      case 3: return .text("As a language model, I would rather not say.")
      default: return .status(200, body: "not JSON")
      }
    }
    let report = try run(store, endpoint).run()
    #expect((report.judged, report.failed, report.ending) == (16, 0, nil))
    #expect(endpoint.requests.count == 32)
    #expect(try PreferenceExport(store).rows.count == 8)
  }

  @Test func aJudgeThatNeverAnswersCostsItsTimeAndNoMore() throws {
    let store = try store(3)
    let endpoint = try StubEndpoint { $0.question.contains("Q 1?") ? .silence : Self.fair($0) }
    let report = try run(store, endpoint) { ($0.timeout, $0.attempts) = (2, 2) }.run()
    #expect((report.judged, report.failed, report.ending) == (4, 2, nil))
    let failures = try store.failures(of: "stub")
    #expect(failures.map(\.pair) == [2, 2] && Set(failures.map(\.shown)) == [.ab, .ba])
    #expect(failures[0].problem.contains("did not answer within 2 seconds (asked 2 times)"))
    #expect(try PreferenceExport(store).rows.count == 2)
    // Another run asks for what is missing alone.
    let better = try StubEndpoint(Self.fair)
    #expect(try run(store, better).run().judged == 2)
    #expect(better.requests.count == 2)
    #expect(try store.failures(of: "stub").isEmpty)
  }

  @Test func nonsenseIsCountedAndListed() throws {
    let (store, endpoint) = (try store(2), try StubEndpoint { _ in .text("Lorem ipsum.") })
    let report = try run(store, endpoint) { $0.attempts = 3 }.run()
    #expect((report.judged, report.failed) == (0, 4))
    #expect(endpoint.requests.count == 12)
    #expect(try store.failures(of: "stub")[0].problem.contains("“Lorem ipsum.” (asked 3 times)"))
  }

  @Test func aRunEndsWhereTheJudgeRefusesOrOnlyFails() throws {
    let store = try store(30)
    let refusing = try StubEndpoint { _ in .status(401, body: #"{"error": {"message": "no such key"}}"#) }
    let refused = try run(store, refusing, concurrency: 1).run()
    #expect(refused.ending == .refused("the endpoint refuses: status 401: no such key"))
    #expect(refusing.requests.count <= 2)
    let failing = try StubEndpoint { $0.number < 5 ? Self.fair($0) : .status(503) }
    let failed = try run(store, failing, concurrency: 1) { $0.attempts = 1 }.run()
    #expect(failed.judged == 5)
    guard case .failing(10, let words) = failed.ending else { return #expect(Bool(false), "\(failed)") }
    #expect(words.contains("status 503"))
    #expect(try store.verdicts().count == 5)
    let mended = try StubEndpoint(Self.fair)
    #expect(try run(store, mended).run().judged == 55)
  }

  @Test func aBadRequestIsNotRepeated() throws {
    let store = try store(1)
    let endpoint = try StubEndpoint { _ in .status(400, body: #"{"error": {"message": "too long"}}"#) }
    let report = try run(store, endpoint).run()
    #expect(report.failed == 2 && endpoint.requests.count == 2 && report.ending == nil)
  }

  @Test func nobodyThereIsAFailure() throws {
    let (store, endpoint) = (try store(1), try StubEndpoint(Self.fair))
    endpoint.stop()
    let report = try run(store, endpoint) { $0.attempts = 2 }.run()
    #expect(report.failed == 2)
    #expect(try store.failures(of: "stub")[0].problem.contains("cannot be reached"))
  }

  @Test func aStoppedRunKeepsWhatItHas() throws {
    let store = try store(20)
    let endpoint = try StubEndpoint { $0.number < 6 ? Self.fair($0) : .silence }
    let judge = try run(store, endpoint, concurrency: 1)
    var judged = 0
    let report = try judge.run(shouldStop: { judged == 6 }, observe: { judged = $0.judged })
    #expect(report.ending == .stopped && report.judged == 6)
    #expect(try store.verdicts().count == 6)
    #expect(try PreferenceExport(store).rows.count == 3)
  }

  @Test func requestsAreWhatTheUserMakesThem() throws {
    let (store, endpoint) = (try store(1), try StubEndpoint(Self.fair))
    _ = try run(store, endpoint) { settings in
      settings.keyVariable = "PATH"
      settings.request = ["max_tokens": .null, "max_completion_tokens": 9, "temperature": .null]
    }.run()
    let request = try #require(endpoint.requests.first)
    #expect(request.body["max_completion_tokens"] == 9)
    #expect(request.body["max_tokens"] == nil && request.body["temperature"] == nil)
    #expect(request.headers["authorization"] == "Bearer \(ProcessInfo.processInfo.environment["PATH"] ?? "")")
  }
}
