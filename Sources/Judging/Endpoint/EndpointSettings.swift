import Foundation
import OrderedCollections
import Text

/// An OpenAI-compatible endpoint, and how hard it is asked.
public struct EndpointSettings: Sendable, Hashable {
  /// The base URL, such as `https://api.openai.com/v1`; `/chat/completions` is added.
  public var base: URL
  /// The model's name there.
  public var model: String
  /// The environment variable with the key; nothing is sent where it is not set.
  public var keyVariable = "OPENAI_API_KEY"
  /// Seconds that one request may take, from above 0.
  public var timeout = 60.0
  /// How often one question is asked before it is given up, from 1.
  public var attempts = 4
  /// Seconds to wait before the second attempt, each later one twice as long, up to a minute.
  public var firstDelay = 1.0
  /// Requests under way at the same time, from 1.
  public var concurrency = 4
  /// Requests begun in a minute at most; nil for no limit.
  public var requestsPerMinute: Double?
  /// Tokens that a reply may have.
  public var maxTokens = 512
  /// What else a request holds, or holds instead: `null` takes a key away.
  public var request: OrderedDictionary<String, JSON> = [:]

  /// An endpoint with the defaults.
  public init(base: URL, model: String) { (self.base, self.model) = (base, model) }

  /// Where requests go.
  var url: URL { base.appending(path: "chat/completions") }

  /// The body of a request.
  func body(_ messages: [Message]) -> [UInt8] {
    var members: OrderedDictionary<String, JSON> = [
      "model": .string(model), "messages": .array(messages.map(\.json)), "temperature": .double(0), "max_tokens": .int(maxTokens),
    ]
    for (key, value) in request { members[key] = value.isNull ? nil : value }
    return Array(JSON.object(members).text().utf8)
  }

  /// Seconds to wait after attempt `number`, from 1: what the endpoint asked for, else twice as long each time, and a random part
  /// of it, so that several clients do not come back together.
  func delay(after number: Int, askedFor: Double?) -> Double {
    if let askedFor { return min(max(0, askedFor), 300) }
    return min(firstDelay * pow(2, Double(number - 1)), 60) * .random(in: 0.5...1)
  }
}
