import Text

/// One sequence while it is generated: takes tokens, gives text, knows when it is at its end.
struct SequenceWriter {
  /// The place of its prompt.
  let index: Int
  private(set) var sequence: GeneratedSequence
  private(set) var isFinished = false
  private let settings: SamplingSettings
  private let contextLength: Int
  private var decoder: StreamingDecoder
  private var matcher: StopMatcher

  init(
    index: Int, promptTokens: Int, settings: SamplingSettings, contextLength: Int, tokenizer: any Tokenizer, wantsLogProbs: Bool
  ) {
    self.index = index
    self.settings = settings
    self.contextLength = contextLength
    // What is not finished otherwise was cancelled.
    sequence = GeneratedSequence(
      promptTokens: promptTokens, ids: [], text: "", finishReason: .cancelled, logProbs: wantsLogProbs ? [] : nil)
    decoder = tokenizer.streamingDecoder(skipSpecialTokens: true)
    matcher = StopMatcher(settings.stop)
  }

  /// Takes the next token and returns the text that may be shown.
  mutating func accept(_ id: Int32, logProb: Float?) -> String {
    sequence.ids.append(id)
    if let logProb { sequence.logProbs?.append(logProb) }
    if settings.endTokens.contains(id) { return end(.stopToken) }
    let piece = matcher.push(decoder.push(id))
    sequence.text += piece
    if matcher.isMatched {
      (sequence.finishReason, isFinished) = (.stopString, true)
      return piece
    }
    if sequence.ids.count >= settings.maxNewTokens { return piece + end(.length) }
    return sequence.promptTokens + sequence.ids.count >= contextLength ? piece + end(.context) : piece
  }

  /// Ends the sequence and returns the text held back so far.
  mutating func end(_ reason: FinishReason) -> String {
    (sequence.finishReason, isFinished) = (reason, true)
    let piece = matcher.push(decoder.finish()) + matcher.finish()
    sequence.text += piece
    return piece
  }
}
