import Foundation
import Text

/// What an endpoint answered.
struct EndpointReply: Sendable {
  let status: Int
  /// Seconds that it asks to wait; nil where it does not.
  let retryAfter: Double?
  let body: [UInt8]

  /// The text of the first choice.
  ///
  /// - Throws: ``ReplyProblem`` where there is none, with what the endpoint says of it.
  func text() throws(ReplyProblem) -> String {
    let json = try? JSON(parsing: body)
    guard (200..<300).contains(status) else {
      let words = "status \(status): \(explanation(json))"
      switch status {
      case 401, 403, 404: throw .lasting(JudgeFailure("the endpoint refuses: \(words)", isFatal: true))
      case 408, 409, 425, 429, 500...: throw .passing("the endpoint failed: \(words)", wait: retryAfter)
      default: throw .lasting(JudgeFailure("the endpoint refuses: \(words)"))
      }
    }
    guard let message = json?["choices"]?[0]?["message"] else {
      throw .passing("the endpoint's reply is no chat completion: \(explanation(json))", wait: nil)
    }
    return message["content"]?.string ?? ""
  }

  private func explanation(_ json: JSON?) -> String {
    let words = json?["error"]?["message"]?.string ?? json?["error"]?.string ?? String(decoding: body.prefix(200), as: UTF8.self)
    return words.isEmpty ? "(nothing)" : String(words.prefix(300))
  }
}

/// Why an attempt came to nothing.
enum ReplyProblem: Error {
  /// Another attempt may come to more, after so many seconds.
  case passing(String, wait: Double?)
  /// No other attempt would.
  case lasting(JudgeFailure)
}
