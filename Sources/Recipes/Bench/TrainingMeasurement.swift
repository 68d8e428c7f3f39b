import Checkpoints
import Foundation
import NN
import Torch
import Training

/// What training steps took.
public struct TrainingMeasurement: Sendable, Codable, Hashable {
  /// The folder or file of the model, or the name of its shape.
  public let model: String
  /// Numbers in it, those of adapters included.
  public let parameters: Int
  /// Numbers that are trained.
  public let trainableParameters: Int
  /// `lora`, `full`, or what a recipe says.
  public let method: String
  /// `f32` or `bf16`: what the model computes in.
  public let dtype: String
  /// Where it ran.
  public let device: String
  /// Samples in a step.
  public let batchSize: Int
  /// Steps before those that count.
  public let warmup: Int
  /// Tokens of each step that counts.
  public let stepTokens: [Int]
  /// Seconds of each: batch, forward, backward, clipping, optimizer.
  public let stepSeconds: [Double]
  /// The mean loss of each.
  public let losses: [Double]
  /// The least of `stepSeconds`.
  public let minStepSeconds: Double
  /// The median of `stepSeconds`.
  public let medianStepSeconds: Double
  /// Tokens a second: of the fastest step where all have as many tokens, else of all together.
  public let tokensPerSecond: Double
  /// Tokens of all steps over seconds of all steps.
  public let meanTokensPerSecond: Double
  /// The most memory the process has held, in bytes.
  public let peakMemoryBytes: Int
  /// Operations of the model's mathematics in all steps that count; see ``ModelOperations``.
  public let modelFlops: Double
  /// The same a second, over the seconds that `tokensPerSecond` counts.
  public let modelFlopsPerSecond: Double
  /// Operations a second of a large matrix product in this element type.
  public let matmulFlopsPerSecond: Double
  /// `modelFlopsPerSecond` ÷ `matmulFlopsPerSecond`.
  public let utilization: Double
  /// What it was measured on.
  public let machine: BenchMachine

  /// Sums up `steps`, and measures the machine's rate after their memory has been read.
  init(
    _ steps: [StepRecorder.Step], warmup: Int, weights: ModelWeights, name: String, method: String, dtype: DType, batchSize: Int
  ) throws {
    let counted = Array(steps.dropFirst(warmup))
    guard !counted.isEmpty else { throw RecipeError("the run ended after \(steps.count) steps, and \(warmup) of them warm up") }
    peakMemoryBytes = ProcessMemory.peakBytes
    let operations = ModelOperations(weights.model, config: weights.files.config)
    (model, self.method, self.batchSize, self.warmup) = (name, method, batchSize, warmup)
    (parameters, trainableParameters) = weights.model.parameterCount()
    (self.dtype, device) = (dtype.benchName, weights.model.device.description)
    (stepTokens, stepSeconds, losses) = (counted.map(\.tokens), counted.map(\.seconds), counted.map(\.loss))
    let flops = counted.map { operations.training(lengths: $0.lengths, targets: $0.targets) }
    let sums = (tokens: stepTokens.reduce(0, +), seconds: stepSeconds.reduce(0, +), flops: flops.reduce(0, +))
    minStepSeconds = stepSeconds.min() ?? 0
    medianStepSeconds = stepSeconds.median
    meanTokensPerSecond = Double(sums.tokens) / sums.seconds
    let isEven = Set(stepTokens).count == 1
    tokensPerSecond = isEven ? Double(stepTokens[0]) / minStepSeconds : meanTokensPerSecond
    modelFlops = sums.flops
    modelFlopsPerSecond = sums.flops * tokensPerSecond / Double(sums.tokens)
    matmulFlopsPerSecond = try MatmulRate.measure(dtype, device: weights.model.device)
    utilization = modelFlopsPerSecond / matmulFlopsPerSecond
    machine = BenchMachine()
  }
}

extension DType {
  /// The name that recipes and commands give it.
  var benchName: String { ModelOptions.dtypes.first { $0.value == self }?.name ?? rawValue }
}

extension [Double] {
  /// The middle one in order, or the mean of the two in the middle; 0 for none.
  var median: Double {
    guard !isEmpty else { return 0 }
    let ordered = sorted()
    return (ordered[(count - 1) / 2] + ordered[count / 2]) / 2
  }
}
