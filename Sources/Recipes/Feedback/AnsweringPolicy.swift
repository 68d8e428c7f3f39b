import Foundation
import Generation
import NN
import Preferences
import Text

/// The model of a round as it answers: the base with the adapter that the rounds before have tuned.
struct AnsweringPolicy {
  let model: LoadedModel
  let settings: FeedbackSettings
  let seed: UInt64

  /// Loads the model with its adapter.
  init(
    _ name: String, adapter: URL?, anyBase: Bool, options: ModelOptions, store: ModelStore, settings: FeedbackSettings,
    seed: UInt64
  ) throws {
    model = try LoadedModel(name, options: options, store: store)
    if let adapter { try model.load(adapters: [adapter.path], anyBase: anyBase) }
    (self.settings, self.seed) = (settings, seed)
  }

  /// The tokens of a prompt; nil where the context has no room for an answer of one token.
  func tokens(_ prompt: FeedbackPrompt) throws -> [Int32]? {
    switch prompt.passage {
    case .text(let text): return fitting(model.text.tokenizer.encode(text, addSpecialTokens: true))
    case .messages(let messages): return fitting(try model.text.encode(messages, tools: prompt.tools))
    }
  }

  /// The tokens of a conversation; nil where the context has no room for an answer.
  func tokens(_ messages: [Message]) throws -> [Int32]? { fitting(try model.text.encode(messages)) }

  private func fitting(_ tokens: [Int32]) -> [Int32]? { !tokens.isEmpty && tokens.count < model.model.tokenLimit ? tokens : nil }

  /// Continues prompts, each with random numbers of its own.
  ///
  /// - Throws: ``FeedbackStopped`` where `shouldStop` says so.
  func continued(_ prompts: [[Int32]], streams: [UInt64], shouldStop: () -> Bool) throws -> [GeneratedSequence] {
    guard !prompts.isEmpty else { return [] }
    var sampling = settings.sampling
    (sampling.seed, sampling.endTokens) = (seed, model.stopTokens)
    var generator = Generator(model.model, tokenizer: model.text.tokenizer)
    generator.batchSize = settings.generationBatch
    let output = try generator.generate(prompts, settings: sampling, streams: streams, shouldStop: shouldStop)
    guard !output.sequences.contains(where: { $0.finishReason == .cancelled }) else { throw FeedbackStopped() }
    return output.sequences
  }
}

/// The run was asked to stop between two pieces of work; what is done is on disk.
public struct FeedbackStopped: Error, Sendable, Hashable {
  /// Nothing more is to be said.
  public init() {}
}
