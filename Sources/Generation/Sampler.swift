import Torch

/// Chooses the next token of each row of a batch.
struct Sampler {
  /// What was chosen.
  struct Choice {
    /// [B] int64, where the scores are.
    var tokens: Tensor
    /// The same.
    var ids: [Int32]
    /// ln p of each under the model's own scores, where they were asked for.
    var logProbs: [Float]?
  }

  private let processors: [LogitsProcessor]
  private let isGreedy: Bool
  private let wantsLogProbs: Bool
  private var streams: [SampleStream]
  /// The tokens of each row so far [B, L], where a processor looks at them.
  private var history: Tensor?

  /// A sampler of `prompts.count` rows.
  init(
    _ settings: SamplingSettings, seed: UInt64, streams: [UInt64], prompts: [[Int32]], wantsLogProbs: Bool, device: Device
  ) throws(TorchError) {
    processors = settings.processors
    isGreedy = settings.isGreedy
    self.wantsLogProbs = wantsLogProbs
    self.streams = streams.map { SampleStream(seed: seed, stream: $0) }
    if settings.repetitionPenalty != 1 { history = try Self.history(of: prompts).to(device) }
  }

  /// The prompts side by side, the shorter ones filled with tokens that they hold anyway.
  private static func history(of prompts: [[Int32]]) throws(TorchError) -> Tensor {
    let width = prompts.map(\.count).max() ?? 0
    let rows = prompts.map { $0 + Array(repeating: $0[0], count: width - $0.count) }
    return try Tensor(rows.flatMap { $0 }, shape: [rows.count, width]).to(.int64)
  }

  /// The next token of each row.
  ///
  /// - Parameter logits: [B, V].
  /// - Returns: nil in the place of a row whose scores are not finite.
  mutating func choose(_ logits: Tensor) throws(TorchError) -> (choice: Choice, broken: Int?) {
    var scores = try logits.to(.float32)
    for processor in processors { scores = try processor(scores, history: history) }
    let (tokens, weights) = isGreedy ? try best(scores) : try draw(scores)
    let logProbs = wantsLogProbs ? try logits.tokenLogProbs(tokens).array(Float.self) : nil
    let choice = Choice(
      tokens: tokens, ids: try tokens.array(Int64.self).map(Int32.init(truncatingIfNeeded:)), logProbs: logProbs)
    if let history { self.history = try Tensor.concatenated([history, try tokens.unsqueezed(-1)], -1) }
    return (choice, try weights.array(Float.self).firstIndex { !$0.isFinite })
  }

  /// The likeliest token of each row, and its score.
  private func best(_ scores: Tensor) throws(TorchError) -> (tokens: Tensor, weights: Tensor) {
    let tokens = try scores.argmax(-1)
    return (tokens, try scores.gathered(-1, try tokens.unsqueezed(-1)).squeezed(-1))
  }

  /// A token of each row by its probability, and the sum of the row's probabilities.
  private mutating func draw(_ scores: Tensor) throws(TorchError) -> (tokens: Tensor, weights: Tensor) {
    // In float64, so that the sums, and with them the token, do not hang on the order of additions.
    let reached = try scores.to(.float64).softmax(-1).cumulativeSum(-1)
    let vocabulary = try scores.size(-1)
    let total = try reached.narrowed(-1, vocabulary - 1..<vocabulary)
    let numbers = streams.indices.map { streams[$0].uniform() }
    let threshold = try total * (try Tensor(numbers, shape: [numbers.count, 1]).to(scores.device))
    return (try (try reached .<= threshold).sum(-1), try total.squeezed(-1))
  }

  /// Keeps the rows at `rows` and drops the others.
  mutating func keep(_ rows: [Int]) throws(TorchError) {
    streams = rows.map { streams[$0] }
    if let history { self.history = try history.rows(rows) }
  }
}

extension Tensor {
  /// The rows at `indices`, copied.
  func rows(_ indices: [Int]) throws(TorchError) -> Tensor {
    try indexed(0, try Tensor(indices.map(Int64.init)).to(device))
  }
}
