import Checkpoints
import Foundation
import NN
import Torch
import Training
import Tuners

/// What loading a model took.
public struct LoadingMeasurement: Sendable, Codable, Hashable {
  /// The folder or file.
  public let model: String
  /// `f32` or `bf16`: what the model computes in.
  public let dtype: String
  /// What the weights are quantized as; nil where they are not.
  public let quantization: String?
  /// Bytes of all parameters and packed weights, each once.
  public let modelBytes: Int
  /// Bytes of the largest tensor as the files have it.
  public let largestTensorBytes: Int
  /// The most memory the process has held, in bytes.
  public let peakMemoryBytes: Int
  /// The same before loading began: the program and its libraries.
  public let startMemoryBytes: Int
  /// `peakMemoryBytes` less the model and the largest tensor; below 0 where parts of the model are still in its files alone.
  public let overheadBytes: Int
  /// Seconds.
  public let seconds: Double

  /// Loads a model and lets it go.
  ///
  /// - Throws: what ``ModelWeights`` throws.
  public static func measure(_ url: URL, options: ModelOptions) throws -> LoadingMeasurement {
    let (start, memory) = (ContinuousClock.now, ProcessMemory.peakBytes)
    let weights = try ModelWeights(url, options: options)
    return LoadingMeasurement(
      weights, quantization: options.quantization, startMemory: memory, seconds: (ContinuousClock.now - start) / .seconds(1))
  }

  private init(_ weights: ModelWeights, quantization: Quantization?, startMemory: Int, seconds: Double) {
    peakMemoryBytes = ProcessMemory.peakBytes
    (model, dtype, self.seconds) = (weights.path, weights.model.dtype.benchName, seconds)
    self.quantization = (quantization?.record ?? weights.files.quantization)?.description
    startMemoryBytes = startMemory
    modelBytes = weights.model.byteCount
    let stored = weights.files.weights
    largestTensorBytes = stored.names.compactMap { stored.info($0)?.byteCount }.max() ?? 0
    overheadBytes = peakMemoryBytes - modelBytes - largestTensorBytes
  }
}

extension Module {
  /// Bytes of all parameters and packed weights; what stands in two places counts once.
  fileprivate var byteCount: Int {
    var counted: [Tensor] = []
    for (_, _, value) in parameters() where !counted.contains(where: { $0.isSameMemory(as: value) }) { counted.append(value) }
    let packed = projections().compactMap { ($0.slot.value as? QuantizedLinear)?.packed.byteCount }
    return counted.reduce(0) { $0 + $1.count * $1.dtype.byteSize } + packed.reduce(0, +)
  }
}
