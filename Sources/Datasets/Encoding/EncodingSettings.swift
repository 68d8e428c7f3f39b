/// Which tokens of a sample are learnt.
public enum MaskPolicy: String, Sendable, Hashable, Codable, CaseIterable {
  /// What follows the prompt: the completion, or the last assistant's turn of a conversation.
  case completion
  /// All turns of the assistant.
  case assistant
  /// Every token.
  case all
}

/// What happens to a sample that is longer than the limit.
public enum Truncation: String, Sendable, Hashable, Codable, CaseIterable {
  /// It is left out.
  case drop
  /// Its first tokens are kept.
  case keepStart = "keep-start"
  /// Its last tokens are kept; BOS and system prompt go.
  case keepEnd = "keep-end"
  /// It is cut into pieces that are samples of their own: for running text.
  case split
  /// Nothing is encoded, and the samples are named.
  case error
}

/// How samples become tokens.
public struct EncodingSettings: Sendable, Hashable, Codable {
  /// Which tokens are learnt; nil for what suits each sample: the assistant's turns of a conversation, the completion, all of a text.
  public var mask: MaskPolicy?
  /// How many tokens a sample may have; nil for any number.
  public var maxLength: Int?
  /// What happens to longer ones; nil to cut running text into pieces and to keep the start of everything else.
  public var truncation: Truncation?
  /// Put the tokenizer's EOS after texts and completions that do not end in it. Conversations end as their template ends them.
  public var appendsEndOfText: Bool
  /// The ids at which generation will stop, where they are known. Without them EOS counts, and in conversations every special token.
  public var stopTokens: Set<Int32>?

  /// Settings of one's own.
  public init(
    mask: MaskPolicy? = nil, maxLength: Int? = nil, truncation: Truncation? = nil, appendsEndOfText: Bool = true,
    stopTokens: Set<Int32>? = nil
  ) {
    self.mask = mask
    self.maxLength = maxLength
    self.truncation = truncation
    self.appendsEndOfText = appendsEndOfText
    self.stopTokens = stopTokens
  }
}
