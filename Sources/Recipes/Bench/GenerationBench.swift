import Datasets
import Foundation
import Generation
import NN
import Text
import Torch
import Training

/// Measures generation: how fast prompts are read, and how fast new tokens come.
public struct GenerationBench: Sendable {
  /// Sequences generated at once, from 1.
  public var streams = 1
  /// Tokens of each prompt, from 2.
  public var promptLength = 64
  /// New tokens of each sequence, from 2.
  public var newTokens = 128
  /// Calls that count, from 1.
  public var repeats = 3
  /// Calls before them.
  public var warmup = 1

  /// One stream, 64 tokens of prompt, 128 new ones.
  public init() {}

  /// Continues random prompts with `model`, the likeliest token each time, to the full number of new tokens.
  ///
  /// - Throws: ``RecipeError`` where the context is too short; what the generator throws.
  public func run(_ model: any CausalLM, name: String) throws -> GenerationMeasurement {
    let context = model.shape.contextLength
    guard promptLength + newTokens <= context else {
      throw RecipeError("\(promptLength) + \(newTokens) tokens are more than the model's context of \(context)")
    }
    let prompts = BenchSamples.random(streams, length: promptLength, vocabulary: model.shape.vocabularySize).map(\.ids)
    var first: [Double] = []
    var whole: [Double] = []
    for call in 0..<(warmup + repeats) {
      let times = (try seconds(model, prompts, newTokens: 1), try seconds(model, prompts, newTokens: newTokens))
      if call >= warmup {
        first.append(times.0)
        whole.append(times.1)
      }
    }
    return GenerationMeasurement(self, model, name: name, firstSeconds: first, wholeSeconds: whole)
  }

  private func seconds(_ model: any CausalLM, _ prompts: [[Int32]], newTokens: Int) throws -> Double {
    var generator = Generator(model, tokenizer: SilentTokenizer(vocabularySize: model.shape.vocabularySize))
    generator.batchSize = prompts.count
    var settings = SamplingSettings()
    settings.maxNewTokens = newTokens
    let start = ContinuousClock.now
    _ = try generator.generate(prompts, settings: settings)
    return (ContinuousClock.now - start) / .seconds(1)
  }
}

/// What generation took.
public struct GenerationMeasurement: Sendable, Codable, Hashable {
  /// The folder or file of the model.
  public let model: String
  /// `f32` or `bf16`.
  public let dtype: String
  /// Where it ran.
  public let device: String
  /// Sequences generated at once.
  public let streams: Int
  /// Tokens of each prompt.
  public let promptLength: Int
  /// New tokens of each sequence.
  public let newTokens: Int
  /// Seconds of each call for one new token.
  public let firstSeconds: [Double]
  /// Seconds of each call for all new tokens.
  public let wholeSeconds: [Double]
  /// The least of `firstSeconds`: from the call to the first new token of every sequence.
  public let timeToFirstToken: Double
  /// Tokens of all prompts over `timeToFirstToken`.
  public let prefillTokensPerSecond: Double
  /// New tokens after the first over the seconds they take: the least of `wholeSeconds` less `timeToFirstToken`.
  public let decodeTokensPerSecond: Double
  /// New tokens over the least of `wholeSeconds`.
  public let tokensPerSecond: Double
  /// The most memory the process has held, in bytes.
  public let peakMemoryBytes: Int
  /// What it was measured on.
  public let machine: BenchMachine

  init(_ bench: GenerationBench, _ model: any CausalLM, name: String, firstSeconds: [Double], wholeSeconds: [Double]) {
    let (first, whole) = (firstSeconds.min() ?? 0, wholeSeconds.min() ?? 0)
    (self.model, dtype, device) = (name, model.dtype.benchName, model.device.description)
    (streams, promptLength, newTokens) = (bench.streams, bench.promptLength, bench.newTokens)
    (self.firstSeconds, self.wholeSeconds, timeToFirstToken) = (firstSeconds, wholeSeconds, first)
    prefillTokensPerSecond = Double(streams * promptLength) / first
    decodeTokensPerSecond = Double(streams * (newTokens - 1)) / (whole - first)
    tokensPerSecond = Double(streams * newTokens) / whole
    peakMemoryBytes = ProcessMemory.peakBytes
    machine = BenchMachine()
  }
}

/// A tokenizer for models without one: its ids stand for no text.
private struct SilentTokenizer: Tokenizer {
  let vocabularySize: Int

  var special: SpecialTokens { SpecialTokens() }
  func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] { [] }
  func decode(_ ids: some Sequence<Int32>, skipSpecialTokens: Bool) -> String { "" }
  func id(of token: String) -> Int32? { nil }
  func token(of id: Int32) -> String? { nil }
  func bytes(of id: Int32) -> [UInt8] { [] }
  func isSpecial(_ id: Int32) -> Bool { false }
}
