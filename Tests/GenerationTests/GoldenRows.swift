import Generation
import TestSupport
import Testing
import Text

/// One prompt with the tokens that transformers continues it with.
struct GoldenRow {
  let prompt: [Int32]
  let tokens: [Int32]
  let logProbs: [Double]?

  init(_ json: JSON) throws {
    prompt = try #require(json["prompt"]?.array).compactMap { $0.int.map(Int32.init) }
    tokens = try #require(json["new_tokens"]?.array).compactMap { $0.int.map(Int32.init) }
    logProbs = json["log_probs"]?.array?.compactMap(\.double)
  }

  /// The rows of a model in `greedy.json`.
  static func greedy(_ model: String) throws -> [GoldenRow] {
    try #require(try Goldens.json("generation/greedy.json")["cases"]?[model]?.array).map(GoldenRow.init)
  }
}

extension Generator {
  /// The new tokens alone.
  func ids(_ prompts: [[Int32]], _ settings: SamplingSettings, streams: [UInt64]? = nil) throws -> [[Int32]] {
    try generate(prompts, settings: settings, streams: streams).sequences.map(\.ids)
  }
}

/// Greedy choice with the tiny models' end of text.
func greedySettings(_ maxNewTokens: Int) -> SamplingSettings {
  var settings = SamplingSettings()
  settings.maxNewTokens = maxNewTokens
  settings.endTokens = [2]
  return settings
}
