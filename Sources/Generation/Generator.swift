import NN
import Text
import Torch

/// Continues prompts with a model, several at a time, each token passing through the model once.
///
/// A sequence does not depend on the others it is generated with: rows keep lengths of their own, without padding, each has
/// random numbers of its own, and a finished one leaves the batch. (Kernels may add in another order for another number of rows:
/// scores then differ by rounding. Models whose rotary frequencies follow the length of the batch, “dynamic”, do differ.)
public struct Generator {
  /// The model.
  public let model: any CausalLM
  /// Its tokenizer.
  public let tokenizer: any Tokenizer
  /// Sequences generated at once, from 1: the cache of keys and values grows with it.
  public var batchSize = 8
  /// Tokens that pass through the model at once while prompts are read, from 1: bounds their memory.
  public var tokensPerPass = 2048
  /// Told before each pass which prompts its rows belong to, by their index; nil where all are treated alike.
  public var routing: (any RowRouting)?

  /// Gets the text of sequence `index` as it comes; the pieces put together are the sequence's text.
  public typealias TextHandler = (_ index: Int, _ piece: String) -> Void

  /// A generator for a model and its tokenizer.
  public init(_ model: any CausalLM, tokenizer: any Tokenizer) {
    self.model = model
    self.tokenizer = tokenizer
  }

  /// Continues each of `prompts`.
  ///
  /// - Parameters:
  ///   - prompts: token ids, with the special tokens the model wants in front.
  ///   - settings: how tokens are chosen and when a sequence ends.
  ///   - streams: the stream of random numbers of each prompt; nil numbers them from 0. A prompt with the same seed and stream
  ///     has the same continuation in every batch.
  ///   - wantsLogProbs: also give ln p of each new token.
  ///   - onText: gets text as it comes.
  ///   - shouldStop: asked before each pass through the model; where it says true, what is unfinished ends as it stands.
  /// - Throws: ``GenerationError`` for a setting out of range, a prompt that is empty, has unknown tokens or leaves no room in the
  ///   context, scores that are not finite; `TorchError`.
  public func generate(
    _ prompts: [[Int32]], settings: SamplingSettings, streams: [UInt64]? = nil, wantsLogProbs: Bool = false,
    onText: TextHandler? = nil, shouldStop: () -> Bool = { false }
  ) throws -> GenerationOutput {
    try settings.validate()
    for (index, prompt) in prompts.enumerated() {
      try model.check(prompt, index: index, limit: tokenLimit(of: index) - 1, virtual: virtualTokens(of: index))
    }
    if let streams, streams.count != prompts.count {
      throw GenerationError.setting(
        name: "streams", problem: "must be as many as there are prompts, \(prompts.count), not \(streams.count)")
    }
    var run = GenerationRun(
      generator: self, settings: settings, streams: streams ?? prompts.indices.map(UInt64.init), prompts: prompts,
      wantsLogProbs: wantsLogProbs, onText: onText)
    try model.inference {
      for start in stride(from: 0, to: prompts.count, by: max(1, batchSize)) {
        try run.generate(Array(start..<min(start + max(1, batchSize), prompts.count)), shouldStop: shouldStop)
      }
    }
    return run.output
  }

  /// The virtual tokens that stand before a prompt.
  private func virtualTokens(of index: Int) -> Int { routing?.virtualTokens(of: index) ?? model.prompts.count }

  /// The tokens that a prompt and its continuation may have.
  fileprivate func tokenLimit(of index: Int) -> Int { model.tokenLimit(behind: virtualTokens(of: index)) }
}

/// One call of a generator.
private struct GenerationRun {
  private let generator: Generator
  private let settings: SamplingSettings
  private let streams: [UInt64]
  private let prompts: [[Int32]]
  private let wantsLogProbs: Bool
  private let onText: Generator.TextHandler?
  private let seed: UInt64
  private var writers: [SequenceWriter]
  private var timing = GenerationTiming()

  init(
    generator: Generator, settings: SamplingSettings, streams: [UInt64], prompts: [[Int32]], wantsLogProbs: Bool,
    onText: Generator.TextHandler?
  ) {
    self.generator = generator
    self.settings = settings
    self.streams = streams
    self.prompts = prompts
    self.wantsLogProbs = wantsLogProbs
    self.onText = onText
    seed = settings.seed ?? .random(in: 0 ... .max)
    writers = prompts.enumerated().map { index, prompt in
      SequenceWriter(
        index: index, promptTokens: prompt.count, settings: settings, contextLength: generator.tokenLimit(of: index),
        tokenizer: generator.tokenizer, wantsLogProbs: wantsLogProbs)
    }
  }

  var output: GenerationOutput {
    GenerationOutput(sequences: writers.map(\.sequence), timing: timing, seed: seed)
  }

  /// Continues the prompts at `indices` as one batch.
  mutating func generate(_ indices: [Int], shouldStop: () -> Bool) throws {
    let batchPrompts = indices.map { prompts[$0] }
    let clock = ContinuousClock()
    let start = clock.now
    guard
      var batch = try DecodingBatch(
        generator.model, prompts: batchPrompts, requests: RoutedRequests(indices, through: generator.routing),
        tokensPerPass: generator.tokensPerPass, shouldStop: shouldStop)
    else { return }
    timing.promptTokens += batchPrompts.map(\.count).reduce(0, +)
    let decodingStart = clock.now
    timing.prefillSeconds += (decodingStart - start).seconds
    defer { timing.decodeSeconds += (clock.now - decodingStart).seconds }
    var sampler = try Sampler(
      settings, seed: seed, streams: indices.map { streams[$0] }, prompts: batchPrompts, wantsLogProbs: wantsLogProbs,
      device: batch.logits.device)
    var active = indices
    while true {
      if shouldStop() {
        for index in active { show(index, writers[index].end(.cancelled)) }
        return
      }
      var (choice, broken) = try sampler.choose(batch.logits)
      if let broken {
        let writer = writers[active[broken]].sequence
        throw GenerationError.notFinite(row: active[broken], after: writer.promptTokens + writer.ids.count)
      }
      let kept = accept(choice, of: active)
      if kept.isEmpty { return }
      if kept.count < active.count {
        active = kept.map { active[$0] }
        choice.tokens = try choice.tokens.rows(kept)
        try sampler.keep(kept)
        try batch.keep(kept)
      }
      try batch.advance(choice.tokens)
    }
  }

  /// Writes the chosen tokens down and returns the rows that go on.
  private mutating func accept(_ choice: Sampler.Choice, of active: [Int]) -> [Int] {
    timing.newTokens += active.count
    for (row, index) in active.enumerated() {
      show(index, writers[index].accept(choice.ids[row], logProb: choice.logProbs?[row]))
    }
    return active.indices.filter { !writers[active[$0]].isFinished }
  }

  private func show(_ index: Int, _ piece: String) {
    if !piece.isEmpty { onText?(index, piece) }
  }
}

extension Duration {
  /// The whole duration in seconds.
  fileprivate var seconds: Double {
    let (whole, atto) = components
    return Double(whole) + Double(atto) * 1e-18
  }
}
