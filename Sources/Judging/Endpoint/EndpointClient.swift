import Foundation
import Synchronization

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// Sends requests, each under a time limit of its own.
final class EndpointClient: Sendable {
  private let session: URLSession
  private let url: URL
  private let key: String?
  private let timeout: Double

  init(_ settings: EndpointSettings) {
    let configuration = URLSessionConfiguration.ephemeral
    // The limits are kept here: how long a request takes, and how many are under way.
    configuration.timeoutIntervalForRequest = settings.timeout + 60
    configuration.httpMaximumConnectionsPerHost = 256
    session = URLSession(configuration: configuration)
    (url, timeout) = (settings.url, settings.timeout)
    key = ProcessInfo.processInfo.environment[settings.keyVariable].flatMap { $0.isEmpty ? nil : $0 }
  }

  deinit { session.invalidateAndCancel() }

  /// Sends a body and waits for the answer.
  ///
  /// - Throws: ``ReplyProblem`` where there is none in time, or `isStopped` says so.
  func post(_ body: [UInt8], isStopped: () -> Bool) throws(ReplyProblem) -> EndpointReply {
    var request = URLRequest(url: url)
    request.httpMethod = "POST"
    request.httpBody = Data(body)
    request.timeoutInterval = timeout + 60
    request.setValue("application/json", forHTTPHeaderField: "Content-Type")
    if let key { request.setValue("Bearer \(key)", forHTTPHeaderField: "Authorization") }
    let outcome = Outcome()
    let task = session.dataTask(with: request) { data, response, error in outcome.set(data, response, error) }
    task.resume()
    let deadline = ContinuousClock.now + .seconds(timeout)
    while true {
      if let result = outcome.wait(0.05) { return try result.get() }
      if isStopped() {
        task.cancel()
        throw .passing("it was given up", wait: nil)
      }
      if ContinuousClock.now >= deadline {
        task.cancel()
        throw .passing("\(url.host() ?? "the endpoint") did not answer within \(timeout.formatted()) seconds", wait: nil)
      }
    }
  }
}

/// What comes back on the session's thread.
private final class Outcome: Sendable {
  private let result = Mutex<Result<EndpointReply, ReplyProblem>?>(nil)
  private let isThere = DispatchSemaphore(value: 0)

  func set(_ data: Data?, _ response: URLResponse?, _ error: (any Error)?) {
    let made: Result<EndpointReply, ReplyProblem>
    if let response = response as? HTTPURLResponse {
      let wait = response.value(forHTTPHeaderField: "Retry-After").flatMap(Double.init)
      made = .success(EndpointReply(status: response.statusCode, retryAfter: wait, body: Array(data ?? Data())))
    } else {
      let words = error?.localizedDescription ?? "no answer"
      made = .failure(.passing("the endpoint cannot be reached: \(words)", wait: nil))
    }
    result.withLock { $0 = made }
    isThere.signal()
  }

  /// The result, where it comes within so many seconds.
  func wait(_ seconds: Double) -> Result<EndpointReply, ReplyProblem>? {
    isThere.wait(timeout: .now() + seconds) == .success ? result.withLock { $0 } : nil
  }
}
