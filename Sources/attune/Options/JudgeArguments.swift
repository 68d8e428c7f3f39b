import ArgumentParser
import Foundation
import Judging
import OrderedCollections
import Preferences
import Recipes
import Text

/// Who judges, and by what.
struct JudgeArguments: ParsableArguments {
  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The judge: a name of the model store, a Hugging Face folder, a .gguf file; with --endpoint the model's name there.",
      valueName: "name-or-path"))
  var model: String

  @Option(help: ArgumentHelp("An adapter of a local judge, with a weight behind “=”.", valueName: "folder"))
  var adapter: [WeightedAdapter] = []

  @Flag(help: "Apply adapters to this model even if they were trained on another.")
  var anyBase = false

  @Option(help: ArgumentHelp("What to judge by (default: help, correctness, clarity).", valueName: "text"))
  var rubric: String?

  @Option(help: ArgumentHelp("The same out of a file.", valueName: "file"))
  var rubricFile: String?

  @Option(help: ArgumentHelp("The name under which the verdicts stand (default: “judge” and the model's).", valueName: "name"))
  var rater: String?

  @Option(
    help: ArgumentHelp(
      "How both orders make one opinion: agreement, or mean of the probabilities (default: mean where there are some).",
      valueName: "way"))
  var combine: CombinationChoice?

  @Option(help: ArgumentHelp("With mean: how far from 1/2 an answer has to be; nearer is a tie.", valueName: "p"))
  var tieMargin: Double?

  @Option(help: ArgumentHelp("End after so many failures one after the other.", valueName: "n"))
  var failureLimit = 10

  func validate() throws {
    if rubric != nil, rubricFile != nil { throw ValidationError("give --rubric or --rubric-file, not both") }
    if failureLimit < 1 { throw ValidationError("--failure-limit must be 1 or more, not \(failureLimit)") }
    guard let tieMargin else { return }
    guard combine == .mean else { throw ValidationError("--tie-margin is for --combine mean") }
    guard (0..<0.5).contains(tieMargin) else {
      throw ValidationError("--tie-margin must be from 0 to below 0.5, not \(tieMargin)")
    }
  }

  /// Puts what is given here into settings.
  func apply(to settings: inout JudgeSettings) throws {
    if let rubric { settings.rubric = Rubric(rubric) }
    if let rubricFile { settings.rubric = Rubric(try TextInput.read(rubricFile).trimmingCharacters(in: .whitespacesAndNewlines)) }
    (settings.name, settings.failureLimit) = (rater, failureLimit)
    switch combine {
    case nil: break
    case .agreement: settings.combination = .agreement
    case .mean: settings.combination = .mean(margin: tieMargin ?? 0)
    }
  }
}

/// The values of `--combine`.
enum CombinationChoice: String, ExpressibleByArgument, CaseIterable { case agreement, mean }

/// An endpoint, and how hard it is asked.
struct EndpointArguments: ParsableArguments {
  @Option(
    name: .customLong("endpoint"),
    help: ArgumentHelp("The base URL of an OpenAI-compatible endpoint, such as http://localhost:8000/v1.", valueName: "url"))
  var url: String?

  @Option(help: ArgumentHelp("The environment variable with the key (default: OPENAI_API_KEY).", valueName: "name"))
  var apiKeyEnv: String?

  @Option(help: ArgumentHelp("Seconds that a request may take (default: 60).", valueName: "seconds"))
  var timeout: Double?

  @Option(help: ArgumentHelp("How often a question is asked before it is given up (default: 4).", valueName: "n"))
  var attempts: Int?

  @Option(
    help: ArgumentHelp(
      "Seconds before the second attempt; each later one waits twice as long (default: 1).", valueName: "seconds"))
  var retryDelay: Double?

  @Option(help: ArgumentHelp("Requests at the same time (default: 4).", valueName: "n"))
  var concurrency: Int?

  @Option(help: ArgumentHelp("Requests a minute at most (default: no limit).", valueName: "n"))
  var requestsPerMinute: Double?

  @Option(help: ArgumentHelp("Tokens that a reply may have (default: 512).", valueName: "n"))
  var maxTokens: Int?

  @Option(help: ArgumentHelp("What else a request holds, as a JSON object; null takes a key away.", valueName: "json"))
  var request: String?

  /// The options that are given.
  var given: [String] {
    [
      ("--api-key-env", apiKeyEnv != nil), ("--timeout", timeout != nil), ("--attempts", attempts != nil),
      ("--retry-delay", retryDelay != nil), ("--concurrency", concurrency != nil),
      ("--requests-per-minute", requestsPerMinute != nil), ("--max-tokens", maxTokens != nil), ("--request", request != nil),
    ].filter(\.1).map(\.0)
  }

  func validate() throws {
    if let url, JudgeSettings.endpoint(url) == nil { throw ValidationError("--endpoint “\(url)” is no http or https URL") }
    func check(_ name: String, _ value: Double?, _ range: ClosedRange<Double>) throws {
      guard let value, !range.contains(value) else { return }
      throw ValidationError("\(name) must be from \(range.lowerBound) to \(range.upperBound), not \(value)")
    }
    try check("--timeout", timeout, 0.001...86400)
    try check("--attempts", attempts.map(Double.init), 1...100)
    try check("--retry-delay", retryDelay, 0...3600)
    try check("--concurrency", concurrency.map(Double.init), 1...256)
    try check("--requests-per-minute", requestsPerMinute, 0.01...1e6)
    try check("--max-tokens", maxTokens.map(Double.init), 1...1e6)
    if let request, (try? JSON(parsing: request))?.object == nil { throw ValidationError("--request must be a JSON object") }
  }

  /// The endpoint with a model; nil where none is given.
  func settings(model: String) throws -> EndpointSettings? {
    guard let base = url.flatMap(JudgeSettings.endpoint) else { return nil }
    var settings = EndpointSettings(base: base, model: model)
    if let apiKeyEnv { settings.keyVariable = apiKeyEnv }
    if let timeout { settings.timeout = timeout }
    if let attempts { settings.attempts = attempts }
    if let retryDelay { settings.firstDelay = retryDelay }
    if let concurrency { settings.concurrency = concurrency }
    settings.requestsPerMinute = requestsPerMinute
    if let maxTokens { settings.maxTokens = maxTokens }
    settings.request = try request.map { try JSON(parsing: $0).object ?? [:] } ?? [:]
    return settings
  }
}
