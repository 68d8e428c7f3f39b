import Foundation
import Text

/// Questions to an endpoint, several at a time.
public struct EndpointChat {
  private let settings: EndpointSettings
  private let client: EndpointClient
  private let pace: RequestPace

  /// A client of an endpoint.
  public init(_ settings: EndpointSettings) {
    self.settings = settings
    client = EndpointClient(settings)
    pace = RequestPace(perMinute: settings.requestsPerMinute)
  }

  /// Asks conversations, and delivers what `accept` makes of the replies, in the order in which they come.
  ///
  /// - Parameters:
  ///   - conversations: the turns of each.
  ///   - shouldStop: asked again and again; where true, requests under way are given up.
  ///   - accept: what is wanted of a reply's text; nil where it holds nothing of the kind, and is to be asked for again.
  ///   - deliver: gets the place of a conversation and what came of it, on the caller's thread.
  /// - Throws: what `deliver` throws.
  public func ask<Answer: Sendable>(
    _ conversations: [[Message]], shouldStop: () -> Bool, accept: @escaping @Sendable (String) -> Answer?,
    deliver: (Int, Result<Answer, JudgeFailure>) throws -> Void
  ) throws {
    let board = QuestionBoard<Answer>(count: conversations.count)
    defer { board.stop() }
    for _ in 0..<min(max(1, settings.concurrency), conversations.count) {
      let exchange = Exchange(settings: settings, client: client, pace: pace)
      Thread.detachNewThread {
        while let place = board.take() {
          let body = exchange.settings.body(conversations[place])
          board.put(place, exchange.run(body, accept: accept, isStopped: { board.isStopped }))
        }
      }
    }
    var left = conversations.count
    while left > 0 {
      if shouldStop() { return }
      guard let (place, result) = board.next(within: 0.1) else { continue }
      left -= 1
      try deliver(place, result)
    }
  }
}

/// One question, asked until it is answered or given up.
private struct Exchange: Sendable {
  let settings: EndpointSettings
  let client: EndpointClient
  let pace: RequestPace

  func run<Answer>(
    _ body: [UInt8], accept: (String) -> Answer?, isStopped: () -> Bool
  ) -> Result<Answer, JudgeFailure> {
    var last = "it was not asked"
    for attempt in 1...max(1, settings.attempts) {
      guard pause(pace.turn(), unless: isStopped) else { break }
      var wait: Double?
      do throws(ReplyProblem) {
        let text = try client.post(body, isStopped: isStopped).text()
        if let answer = accept(text) { return .success(answer) }
        last = "the reply cannot be used: “\(text.prefix(200))”"
      } catch {
        switch error {
        case .lasting(let failure): return .failure(failure)
        case .passing(let words, let seconds): (last, wait) = (words, seconds)
        }
      }
      guard attempt < settings.attempts else { break }
      guard pause(.seconds(settings.delay(after: attempt, askedFor: wait)), unless: isStopped) else { break }
    }
    let times = settings.attempts == 1 ? "once" : "\(settings.attempts) times"
    return .failure(JudgeFailure("\(last) (asked \(times))"))
  }
}
