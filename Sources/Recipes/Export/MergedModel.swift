import Checkpoints
import Foundation
import Generation
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
    /// What could not be written and why.
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

  /// Merges, writes and reads back.
  ///
  /// Sums are made in float32 whatever is written. `config.json` comes last, so that a folder which has one is whole.
  ///
  /// - Parameters:
  ///   - folder: where the model goes; made where it is missing.
  ///   - replacing: write into a folder that holds files.
  ///   - options: device, threads and quantization, which merges into the expanded weights; the element type is not used.
  ///   - say: gets a line before each stage.
  /// - Throws: ``RecipeError`` where the folder holds files or the model read back differs by more than rounding; what reading,
  ///   merging and writing throw.
  public func write(
    to folder: URL, replacing: Bool = false, options: ModelOptions = ModelOptions(), say: (String) -> Void = { _ in }
  ) throws -> Report {
    try OutputFolder(url: folder).check(
      inputs: [source] + adapters.map { URL(filePath: $0.folder) }, replacing: replacing, for: "the model")
    var options = options
    options.dtype = .float32
    say("reading \(source.path)")
    let files = try ModelFiles(source)
    let dtype = dtype ?? Self.storedDType(files.weights)
    let (expected, weights) = try merged(options, say: say)
    say("writing \(folder.path)")
    let export = ModelExport(
      source: source, files: files, dtype: dtype, vocabulary: weights.vocabulary, shardByteLimit: shardByteLimit)
    let (written, notes) = try export.write(weights.model, to: folder)
    say("reading it back")
    let check = try check(folder, against: expected, options: options)
    guard dtype != .float32 || check.maxDifference <= 1e-3 * (1 + check.maxScore) else {
      throw RecipeError(
        "\(folder.path): the model read back differs by \(check.maxDifference) from the merged one, more than rounding explains")
    }
    return Report(files: written, dtype: dtype, check: check, notes: notes)
  }

  /// The model after merging, and the scores it has to give.
  private func merged(_ options: ModelOptions, say: (String) -> Void) throws -> (scores: [Float], weights: ModelWeights) {
    let weights = try ModelWeights(source, options: options)
    try weights.load(weighted: adapters, anyBase: anyBase, scores: true)
    // What scores texts needs no other head in its folder.
    if weights.model.score != nil { weights.model.head = AbsentHead(weights.model.shape.hiddenSize) }
    let expected = try scores(weights.model)
    say(adapters.isEmpty ? "no adapters to merge" : "merging \(weights.adapters.active.joined(separator: ", "))")
    try weights.adapters.mergeAndUnload()
    try weights.model.expandProjections()
    return (expected, weights)
  }

  private func check(_ folder: URL, against expected: [Float], options: ModelOptions) throws -> Check {
    var options = options
    options.quantization = nil
    let weights = try ModelWeights(folder, options: options)
    let actual = try scores(weights.model)
    let width = weights.model.scoreHeadShape?.labels ?? weights.model.shape.vocabularySize
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
