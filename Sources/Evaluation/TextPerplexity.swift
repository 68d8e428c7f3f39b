import Foundation
import Generation
import NN

/// Perplexity of running text, in windows that overlap.
///
/// Each token is scored once; after the first window, with at least `window` − `stride` tokens before it.
public struct TextPerplexity {
  /// Gives the scores.
  public var scorer: Scorer
  /// Tokens the model sees at once.
  public let window: Int
  /// Tokens from the start of one window to the start of the next.
  public let stride: Int

  /// What a text came to.
  public struct Outcome: Sendable, Hashable, Codable {
    /// The loss over all tokens but the first.
    public let loss: LossSummary
    /// e to the mean loss of a token.
    public let perplexity: Double
    /// Loss in bits by byte of text, which does not depend on the tokenizer.
    public let bitsPerByte: Double
  }

  /// Windows of `window` tokens, the model's whole context where it is nil, that start `stride` tokens apart, half a window where
  /// it is nil.
  ///
  /// - Throws: ``EvaluationError`` where the window is longer than the context or below 2, or the stride is not from 1 to below it.
  public init(_ scorer: Scorer, window: Int? = nil, stride: Int? = nil) throws(EvaluationError) {
    let context = scorer.model.tokenLimit
    let window = window ?? context
    guard window >= 2, window <= context else {
      throw EvaluationError("a window must have from 2 tokens to the model's context of \(context), not \(window)")
    }
    let stride = stride ?? window / 2
    guard (1..<window).contains(stride) else {
      throw EvaluationError("windows of \(window) tokens must start from 1 to \(window - 1) tokens apart, not \(stride)")
    }
    self.scorer = scorer
    self.window = window
    self.stride = stride
  }

  /// Measures a text.
  ///
  /// - Parameters:
  ///   - tokens: its tokens, two at least.
  ///   - byteCount: its length in UTF-8.
  /// - Throws: ``EvaluationError`` for a text of one token; what `Scorer` throws.
  public func run(_ tokens: [Int32], byteCount: Int) throws -> Outcome {
    guard tokens.count > 1, byteCount > 0 else {
      throw EvaluationError("a text of \(tokens.count) tokens and \(byteCount) bytes has no perplexity")
    }
    var rows: [[Int32]] = []
    var wanted: [[Int]] = []
    var scored = 1
    for start in Swift.stride(from: 0, to: tokens.count, by: stride) where scored < tokens.count {
      let end = min(start + window, tokens.count)
      rows.append(Array(tokens[start..<end]))
      wanted.append(Array(scored - start..<end - start))
      scored = end
    }
    let total = try scorer.score(rows, wanted: wanted).reduce(0.0) { sum, row in sum - row.reduce(0.0) { $0 + Double($1) } }
    let loss = LossSummary(total: total, tokens: tokens.count - 1)
    return Outcome(loss: loss, perplexity: loss.perplexity, bitsPerByte: total / log(2) / Double(byteCount))
  }
}
