/// How the next token is chosen and when a sequence ends.
///
/// The defaults choose the likeliest token each time. In JSON and YAML the keys are `temperature`, `top_k`, `top_p`, `min_p`,
/// `repetition_penalty`, `seed`, `max_new_tokens`, `stop` and `end_tokens`; each may be left out.
public struct SamplingSettings: Sendable, Hashable, Codable {
  /// What scores are divided by, 0.000001 or more; at 0 the likeliest token is taken.
  public var temperature = 0.0
  /// Only the `topK` likeliest tokens are drawn from; 0 for all.
  public var topK = 0
  /// Only the fewest tokens that together have this probability are drawn from, above 0 to 1; 1 for all.
  public var topP = 1.0
  /// Only tokens at least this likely in proportion to the likeliest are drawn from, 0 … 1; 0 for all.
  public var minP = 0.0
  /// Takes likelihood from tokens that stand in the prompt or came already, above 0; 1 leaves them alone.
  public var repetitionPenalty = 1.0
  /// Where the random numbers start; nil for a start that differs from run to run.
  public var seed: UInt64?
  /// Tokens to generate at most, from 1.
  public var maxNewTokens = 256
  /// Texts that end a sequence and are left out of its text.
  public var stop: [String] = []
  /// Tokens that end a sequence: end of text, end of turn.
  public var endTokens: Set<Int32> = []

  /// Greedy choice, 256 tokens at most.
  public init() {}

  /// True where the likeliest token is taken each time.
  public var isGreedy: Bool { temperature == 0 }

  /// Checks every range.
  ///
  /// - Throws: ``GenerationError`` that names the setting.
  public func validate() throws(GenerationError) {
    func check(_ name: CodingKeys, _ isRight: Bool, _ range: String, _ value: Any) throws(GenerationError) {
      guard isRight else { throw .setting(name: name.rawValue, problem: "must be \(range), not \(value)") }
    }
    // Below this, scores divided by it may leave the range of float32.
    let isRight = temperature == 0 || (temperature.isFinite && temperature >= 1e-6)
    try check(.temperature, isRight, "0, or a number from 0.000001", temperature)
    try check(.topK, topK >= 0, "a whole number from 0", topK)
    try check(.topP, topP > 0 && topP <= 1, "a number above 0 and at most 1", topP)
    try check(.minP, (0...1).contains(minP), "a number from 0 to 1", minP)
    try check(
      .repetitionPenalty, repetitionPenalty.isFinite && repetitionPenalty > 0, "a number above 0", repetitionPenalty)
    try check(.maxNewTokens, maxNewTokens >= 1, "a whole number from 1", maxNewTokens)
    try check(.stop, !stop.contains(""), "a list of texts that are not empty", stop)
    if let negative = endTokens.filter({ $0 < 0 }).min() { try check(.endTokens, false, "a list of token ids", negative) }
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case temperature, seed, stop
    case topK = "top_k"
    case topP = "top_p"
    case minP = "min_p"
    case repetitionPenalty = "repetition_penalty"
    case maxNewTokens = "max_new_tokens"
    case endTokens = "end_tokens"
  }

  /// Reads the settings that are there; the others keep their defaults. Ranges are checked by ``validate()``.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    func read<Value: Decodable>(_ key: CodingKeys, into value: inout Value) throws {
      if let given = try container.decodeIfPresent(Value.self, forKey: key) { value = given }
    }
    try read(.temperature, into: &temperature)
    try read(.topK, into: &topK)
    try read(.topP, into: &topP)
    try read(.minP, into: &minP)
    try read(.repetitionPenalty, into: &repetitionPenalty)
    try read(.maxNewTokens, into: &maxNewTokens)
    try read(.stop, into: &stop)
    try read(.endTokens, into: &endTokens)
    seed = try container.decodeIfPresent(UInt64.self, forKey: .seed)
  }
}
