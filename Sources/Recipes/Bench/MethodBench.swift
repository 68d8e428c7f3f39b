import Datasets
import Foundation
import NN
import Training
import Tuners

/// A method's steps beside those of another, taken in turn.
public struct MethodSpeed: Sendable, Codable, Hashable {
  /// The method, as a recipe's `method` says it.
  public let method: String
  /// Numbers that it trains.
  public let trainableParameters: Int
  /// Seconds of a step, by round.
  public let seconds: [Double]
  /// Seconds of a step of the other method right before, by round.
  public let otherSeconds: [Double]

  /// How many times as long a step takes as one of the other method, by round.
  public var ratios: [Double] { zip(seconds, otherSeconds).map { $0 / $1 } }
  /// The median of ``ratios``.
  public var medianRatio: Double { ratios.median }
  /// The median of ``seconds``.
  public var medianSeconds: Double { seconds.median }
}

/// What ``MethodBench`` measured.
public struct MethodSpeeds: Sendable, Codable, Hashable {
  /// The folder or file of the model, or the name of its shape.
  public let model: String
  /// `f32` or `bf16`.
  public let dtype: String
  /// Samples in a step.
  public let batchSize: Int
  /// Tokens of a sample.
  public let length: Int
  /// The method that the others are measured beside.
  public let beside: String
  /// The methods.
  public let methods: [MethodSpeed]
  /// What it was measured on.
  public let machine: BenchMachine
}

/// Measures how long a step of each method takes beside one of LoRA on the same model and samples, in one process and in turn: what
/// else the machine does meanwhile slows both down.
public struct MethodBench: Sendable {
  /// The method that the others are measured beside.
  public var beside = "{type: lora, r: 8, alpha: 16}"
  /// Samples in a step.
  public var batchSize = 4
  /// Tokens of a random sample.
  public var length = 64
  /// Turns of both that count, from 1; one more goes before them.
  public var rounds = 5
  /// Steps of a turn that count, from 1; one more goes before them.
  public var steps = 1

  /// Those that are measured where nobody names any: on the layers that LoRA is on, where they are on layers.
  public static let standard = [
    "{type: lora_plus, r: 8}", "{type: lora_fa, r: 8}", "{type: dora, r: 8}", "{type: olora, r: 8}",
    "{type: adalora, init_r: 12, target_r: 8, total_step: 1000}", "{type: vera}", "{type: loha}", "{type: lokr}",
    "{type: ia3, target_modules: all-linear}", "{type: ln_tuning}", "{type: trainable_tokens, token_indices: [1, 2]}",
    "{type: houlsby}", "{type: pfeiffer}", "{type: parallel}", "{type: compacter}", "{type: prompt_tuning}", "{type: p_tuning}",
    "{type: prefix_tuning}", "{type: multitask_prompt_tuning}", "{type: full}",
  ]

  /// A batch of 4 samples of 64 tokens.
  public init() {}

  /// Measures methods one after the other.
  ///
  /// - Parameters:
  ///   - methods: each a method's name, or as a recipe's `method` says it.
  ///   - load: gives the model, without adapters; called again for a method that takes the place of its weights.
  ///   - name: what to call the model in the result.
  ///   - scratch: an existing folder for the files a run leaves.
  ///   - observe: told each result as it comes.
  /// - Throws: ``RecipeError`` for a method that does not fit; what the parts of a run throw.
  public func run(
    _ methods: [String], load: () throws -> ModelWeights, name: String, scratch: URL, observe: (MethodSpeed) -> Void = { _ in }
  ) throws -> MethodSpeeds {
    let recipes = try methods.map { try recipe($0) }
    let weights = try load()
    let other = Side(try weights.adapters.add(try recipe(beside).settings, named: "beside"), weights)
    var results: [MethodSpeed] = []
    for (text, recipe) in zip(methods, recipes) {
      let own = recipe.settings.files == .model ? try load() : weights
      let side = Side(try own.adapters.add(recipe.settings, named: "measured"), own)
      let result = try measure(side, as: text, beside: other, scratch: scratch)
      if own === weights { try weights.adapters.remove("measured") }
      observe(result)
      results.append(result)
    }
    return MethodSpeeds(
      model: name, dtype: weights.model.dtype.benchName, batchSize: batchSize, length: length, beside: beside, methods: results,
      machine: BenchMachine())
  }

  /// A method in a model.
  private struct Side {
    let adapter: Adapter
    let weights: ModelWeights

    init(_ adapter: Adapter, _ weights: ModelWeights) { (self.adapter, self.weights) = (adapter, weights) }
  }

  private func recipe(_ text: String) throws -> MethodRecipe {
    let isName = text.allSatisfy { $0.isLetter || $0.isNumber || "_+-".contains($0) }
    return try MethodRecipe(isName ? "{type: \"\(text)\"}" : text, file: "the method “\(text)”")
  }

  private func measure(_ own: Side, as text: String, beside other: Side, scratch: URL) throws -> MethodSpeed {
    var (seconds, otherSeconds): ([Double], [Double]) = ([], [])
    for round in 0...rounds {
      let before = try turn(other, scratch)
      let now = try turn(own, scratch)
      if round == 0 { continue }
      otherSeconds.append(before)
      seconds.append(now)
    }
    return MethodSpeed(
      method: text, trainableParameters: own.adapter.parameterCount, seconds: seconds, otherSeconds: otherSeconds)
  }

  /// The seconds of a step of one side, alone at work.
  private func turn(_ side: Side, _ scratch: URL) throws -> Double {
    let weights = side.weights
    try weights.adapters.activate([side.adapter.name])
    let samples = BenchSamples.random(batchSize * (steps + 1), length: length, vocabulary: weights.model.shape.vocabularySize)
    let taken = try TrainingBench.steps(
      steps + 1, of: side.adapter.tunedPart(base: weights.path), model: weights.model, samples: samples, batchSize: batchSize,
      gradientCheckpointing: .none, scratch: scratch)
    try side.adapter.setTrainable(false)
    return taken.dropFirst().map(\.seconds).median
  }
}
