import Foundation
import Judging
import OrderedCollections
import Preferences
import Text

extension JudgeSettings {
  /// Reads `judge: {model: …}` or `judge: {endpoint: URL, model: …}`.
  ///
  /// - Parameter model: the judge where none is named.
  init(_ node: RecipeNode?, default model: String) throws(RecipeError) {
    self.init(.local(model: model, adapters: []))
    guard let node else { return }
    let name = try node.string("model")
    let adapters = try node.strings("adapters") ?? []
    if let text = try node.string("endpoint") {
      guard let name else { throw node.error("model", "is missing: name the endpoint's model") }
      guard adapters.isEmpty else { throw node.error("adapters", "cannot stand beside endpoint: it has its own") }
      guard let base = Self.endpoint(text) else { throw node.error("endpoint", "is “\(text)”, which is no http or https URL") }
      source = .endpoint(try Self.endpoint(EndpointSettings(base: base, model: name), node))
    } else {
      source = .local(model: name ?? model, adapters: adapters.compactMap(WeightedAdapter.init(parsing:)))
    }
    if let text = try node.string("rubric") { rubric = Rubric(text) }
    let margin = try node.double("tie_margin", in: 0...0.499) ?? 0
    combination = try node.choice("combine", [("agreement", .agreement), ("mean", .mean(margin: margin))])
    if node.has("tie_margin"), combination != .mean(margin: margin) {
      throw node.error("tie_margin", "is for combine: mean, where probabilities are averaged; leave it out, or set that")
    }
    failureLimit = try node.int("failure_limit", in: 1...1 << 30) ?? failureLimit
    try node.finish()
  }

  /// The base URL that a text stands for; nil where it is none of http or https.
  public static func endpoint(_ text: String) -> URL? {
    guard let url = URL(string: text), ["http", "https"].contains(url.scheme?.lowercased()), url.host()?.isEmpty == false else {
      return nil
    }
    return url
  }

  private static func endpoint(_ start: EndpointSettings, _ node: RecipeNode) throws(RecipeError) -> EndpointSettings {
    var endpoint = start
    endpoint.keyVariable = try node.string("api_key_env") ?? endpoint.keyVariable
    endpoint.timeout = try node.double("timeout", in: 0.001...86400) ?? endpoint.timeout
    endpoint.attempts = try node.int("attempts", in: 1...100) ?? endpoint.attempts
    endpoint.firstDelay = try node.double("retry_delay", in: 0...3600) ?? endpoint.firstDelay
    endpoint.concurrency = try node.int("concurrency", in: 1...256) ?? endpoint.concurrency
    endpoint.requestsPerMinute = try node.double("requests_per_minute", in: 0.01...1e6)
    endpoint.maxTokens = try node.int("max_tokens", in: 1...1 << 20) ?? endpoint.maxTokens
    for (key, value) in try node.table("request") { endpoint.request[key] = (try? JSON(parsing: value)) ?? .string(value) }
    return endpoint
  }

  /// The settings as a recipe gives them.
  var yaml: String {
    let text = { (value: String) in JSON.string(value).text() }
    var pairs: [(String, String)] = []
    switch source {
    case .local(let model, let adapters):
      pairs.append(("model", text(model)))
      if !adapters.isEmpty {
        pairs.append(("adapters", "[\(adapters.map { text("\($0.folder)=\($0.weight)") }.joined(separator: ", "))]"))
      }
    case .endpoint(let endpoint):
      pairs += [
        ("endpoint", text(endpoint.base.absoluteString)), ("model", text(endpoint.model)),
        ("api_key_env", text(endpoint.keyVariable)), ("timeout", JSON.python(endpoint.timeout)),
        ("attempts", "\(endpoint.attempts)"), ("retry_delay", JSON.python(endpoint.firstDelay)),
        ("concurrency", "\(endpoint.concurrency)"), ("max_tokens", "\(endpoint.maxTokens)"),
      ]
      if let pace = endpoint.requestsPerMinute { pairs.append(("requests_per_minute", JSON.python(pace))) }
      if !endpoint.request.isEmpty {
        pairs.append(
          ("request", "{ \(endpoint.request.map { "\(text($0.key)): \(text($0.value.text()))" }.joined(separator: ", ")) }"))
      }
    }
    pairs.append(("rubric", text(rubric.text)))
    switch rater.combination {
    case .mean(let margin): pairs += [("combine", "mean"), ("tie_margin", JSON.python(margin))]
    case .agreement, .newest: pairs.append(("combine", "agreement"))
    }
    pairs.append(("failure_limit", "\(failureLimit)"))
    return "{ \(pairs.map { "\($0.0): \($0.1)" }.joined(separator: ", ")) }"
  }
}
