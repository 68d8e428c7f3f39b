/// Why a sequence ended.
public enum FinishReason: String, Sendable, Hashable, Codable, CaseIterable {
  /// One of the end tokens came.
  case stopToken = "stop_token"
  /// One of the stop texts came.
  case stopString = "stop_string"
  /// It has as many new tokens as were asked for.
  case length
  /// Prompt and new tokens fill the model's context.
  case context
  /// The caller asked to stop.
  case cancelled
}

/// What a prompt was continued with.
public struct GeneratedSequence: Sendable, Hashable, Codable {
  /// Tokens of the prompt.
  public var promptTokens: Int
  /// The new tokens, an end token and those of a stop text included.
  public var ids: [Int32]
  /// Their text, without special tokens, the end token and the stop text.
  public var text: String
  /// Why it ended.
  public var finishReason: FinishReason
  /// ln p of each new token under the model's scores, before temperature and filters; nil where it was not asked for.
  public var logProbs: [Float]?
}

/// How much was done, and in what time.
public struct GenerationTiming: Sendable, Hashable, Codable {
  /// Tokens of all prompts.
  public var promptTokens = 0
  /// New tokens of all sequences.
  public var newTokens = 0
  /// Seconds spent on prompts, up to the scores of the first new token.
  public var prefillSeconds = 0.0
  /// Seconds spent on new tokens.
  public var decodeSeconds = 0.0

  /// Nothing yet.
  public init() {}

  /// New tokens a second, without the time spent on prompts.
  public var tokensPerSecond: Double { decodeSeconds > 0 ? Double(newTokens) / decodeSeconds : 0 }
}

/// What a call of the generator came to.
public struct GenerationOutput: Sendable, Hashable, Codable {
  /// The sequences in the order of the prompts.
  public var sequences: [GeneratedSequence]
  /// How much was done, and in what time.
  public var timing: GenerationTiming
  /// Where the random numbers started, so that the call can be repeated.
  public var seed: UInt64
}
