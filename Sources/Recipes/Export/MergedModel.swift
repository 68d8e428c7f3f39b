import Checkpoints
import Foundation
import Generation
import Models
import NN
import OrderedCollections
import Text
import Torch
import Tuners

/// Folds adapters into a model and writes the result as a Hugging Face folder.
public struct MergedModel {
  /// How far the written model is from the one in memory, on a fixed row of tokens.
  public struct Check: Sendable, Hashable {
    /// The largest difference of a score.
    public let maxDifference: Double
    /// The largest score, for comparison.
    public let maxScore: Double
    /// The share of places at which both find the same token likeliest, from 0 to 1.
    public let sameBest: Double
  }

  /// What was written.
  public struct Report: Sendable {
    /// The files, in order of writing.
    public let files: [String]
    /// The element type of the weights.
    public let dtype: DType
    /// How exact the result is.
    public let check: Check
    /// The bases that were tried, where the adapters were trained over quantized weights; the one that was kept first.
    public let trials: [MergeTrial]
    /// What quantizing the merged weights cost, where that was asked for.
    public let requantization: RequantizationLoss?
    /// What trials and losses were measured on, in words; nil where there are none.
    public let text: String?
    /// What could not be done and why.
    public let notes: [String]
  }

  /// The model's folder or .gguf file.
  public let source: URL
  /// The adapters; the last applies last.
  public let adapters: [WeightedAdapter]
  /// The element type to write; nil for that of the source, bfloat16 where that is quantized.
  public let dtype: DType?
  /// The most bytes of tensors in one file; a larger tensor gets a file of its own.
  public let shardByteLimit: Int
  /// Whether adapters that were trained on other weights are taken, too.
  public let anyBase: Bool
  /// How the weights were quantized that the adapters were trained over, where these do not say it.
  public var trainedOver: BaseQuantization?
  /// The base to merge into; nil for the one that comes closer to the live model.
  public var base: MergeBase?
  /// The weights before they were quantized, where the model's folder does not say where they are.
  public var original: URL?
  /// The text to measure on; nil for one of our own.
  public var text: URL?
  /// What the merged weights are quantized to; nil to write them dense.
  public var requantization: Quantization?

  /// A merge of given parts.
  public init(
    source: URL, weighted adapters: [WeightedAdapter], dtype: DType? = nil,
    shardByteLimit: Int = Safetensors.defaultShardByteLimit,
    anyBase: Bool = false
  ) {
    (self.source, self.adapters, self.dtype) = (source, adapters, dtype)
    (self.shardByteLimit, self.anyBase) = (shardByteLimit, anyBase)
  }

  /// The same of adapters with a weight of 1: their folders, or folders of runs that hold one.
  public init(source: URL, adapters: [String], dtype: DType? = nil) {
    self.init(source: source, weighted: adapters.map { WeightedAdapter($0) }, dtype: dtype)
  }

  /// Merges, writes and reads back, one weight at a time: no dense model is in memory, but where the files are float32.
  ///
  /// Sums are made in float32 whatever is written. Adapters that were trained over quantized weights are merged into these and into the
  /// original ones, where they are there; what is closer to the live model is written. `config.json` comes last, so that a folder
  /// which has one is whole.
  ///
  /// - Parameters:
  ///   - folder: where the model goes; made where it is missing.
  ///   - replacing: write into a folder that holds files.
  ///   - options: device and threads; neither element type nor quantization are used.
  ///   - say: gets a line before each stage.
  /// - Throws: ``RecipeError`` where the folder holds files or the model read back differs by more than rounding; what reading,
  ///   merging and writing throw.
  public func write(
    to folder: URL, replacing: Bool = false, options: ModelOptions = ModelOptions(), say: (String) -> Void = { _ in }
  ) throws -> Report {
    let inputs = [source] + adapters.map { URL(filePath: $0.folder) } + [original, text].compactMap(\.self)
    try OutputFolder(url: folder).check(inputs: inputs, replacing: replacing, for: "the model")
    let files = try ModelFiles(source)
    let dtype = dtype ?? Self.storedDType(files.weights)
    say("reading \(source.path)")
    let live = try LiveModel(self, files, options)
    let expected = try scores(live.weights.model)
    say(adapters.isEmpty ? "no adapters to merge" : "merging \(live.weights.adapters.active.joined(separator: ", "))")
    let choice = try live.merged(self, as: dtype, say: say)
    let merged = choice.weights
    let scratch = try ScratchFile(in: folder)
    let loss = try requantization.map { try live.requantize(merged, as: $0, keepingIn: scratch) }
    let made = try scores(merged.model)
    say("writing \(folder.path)")
    let export = ModelExport(
      source: source, files: files, dtype: dtype, vocabulary: merged.vocabulary, shardByteLimit: shardByteLimit)
    let (written, notes) = try export.write(merged.model, to: folder) {
      scratch.release()
      merged.release($0)
    }
    say("reading it back")
    let actual = try scores(Self.weights(folder, options).model)
    let rounding = try check(actual, against: made, of: merged.model)
    guard dtype != .float32 || rounding.maxDifference <= 1e-3 * (1 + rounding.maxScore) else {
      throw RecipeError(
        "\(folder.path): the model read back differs by \(rounding.maxDifference) from the merged one, more than rounding explains"
      )
    }
    return Report(
      files: written, dtype: dtype, check: try check(actual, against: expected, of: merged.model), trials: choice.trials,
      requantization: loss, text: live.text?.source, notes: choice.notes + notes)
  }

  /// The weights of a folder or file, projections as they lie there, computing in float32.
  static func weights(
    _ url: URL, _ options: ModelOptions, _ quantization: Quantization? = nil, packedFrom dtype: DType? = nil
  ) throws -> ModelWeights {
    var options = options
    (options.dtype, options.quantization) = (.float32, quantization)
    return try ModelWeights(url, options: options, projections: .stored(packedFrom: dtype))
  }

  /// How far scores are from others.
  private func check(_ actual: [Float], against expected: [Float], of model: any CausalLM) throws -> Check {
    let width = model.scoreHeadShape?.labels ?? model.shape.vocabularySize
    var (difference, largest, same) = (0.0, 0.0, 0)
    for start in stride(from: 0, to: expected.count, by: width) {
      var best = (expected: start, actual: start)
      for index in start..<start + width {
        difference = max(difference, Double(abs(expected[index] - actual[index])))
        largest = max(largest, Double(abs(expected[index])))
        if expected[index] > expected[best.expected] { best.expected = index }
        if actual[index] > actual[best.actual] { best.actual = index }
      }
      if best.expected == best.actual { same += 1 }
    }
    guard actual.allSatisfy(\.isFinite), expected.allSatisfy(\.isFinite) else {
      throw RecipeError("the scores of the merged model are no finite numbers; the model or an adapter is damaged")
    }
    return Check(
      maxDifference: difference, maxScore: largest, sameBest: Double(same) / Double(max(1, expected.count / width)))
  }

  /// The scores [S, V], or [S, labels], of a fixed row of tokens that reaches over the whole vocabulary.
  private func scores(_ model: any CausalLM) throws -> [Float] {
    let shape = model.shape
    let row = (0..<min(32, shape.contextLength)).map { Int32(truncatingIfNeeded: ($0 * 7919 + 13) % shape.vocabularySize) }
    return try model.inference {
      let hidden = try model.hidden(ModelInput(rows: [row], device: model.device))
      guard model.predictsTokens else { return try model.scores(hidden.squeezed(0)).array(Float.self) }
      return try model.head.forward(hidden).to(.float32).array(Float.self)
    }
  }

  /// The element type that most numbers of a checkpoint have; bfloat16 where they are quantized.
  static func storedDType(_ weights: any CheckpointSource) -> DType {
    let types: [String: DType] = ["F32": .float32, "F16": .float16, "BF16": .bfloat16]
    var counts: OrderedDictionary<String, Int> = [:]
    for info in weights.names.compactMap(weights.info) { counts[info.storedType, default: 0] += info.elementCount }
    let most = counts.max { $0.value < $1.value }?.key
    return most.flatMap { types[$0] } ?? .bfloat16
  }
}
