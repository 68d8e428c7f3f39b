import Checkpoints
import Datasets
import Foundation
import Models
import NN
import OrderedCollections
import Text
import Torch

/// Makes a smaller model out of the parts of a larger one, for that to teach: fewer layers, fewer heads, fewer units.
public struct StudentModel {
  /// What was written.
  public struct Report: Sendable {
    /// The files, in order of writing.
    public let files: [String]
    /// The layers kept, by their numbers in the teacher.
    public let layers: [Int]
    /// Query heads, key/value heads and feed-forward units of a layer.
    public let heads: Int, keyValueHeads: Int, units: Int
    /// Numbers in the teacher and in the student.
    public let teacherParameters: Int, parameters: Int
    /// What could not be written and why.
    public let notes: [String]
  }

  /// The teacher's folder or .gguf file.
  public let source: URL
  /// The layers kept; nil for all.
  public var layers: StudentLayers?
  /// The groups of heads kept in each layer; nil for all.
  public var keyValueHeads: Int?
  /// The share of feed-forward units kept in each layer, above 0 up to 1; their number is rounded to a multiple of 32.
  public var feedForwardShare: Double?
  /// The most bytes of tensors in one file.
  public var shardByteLimit = Safetensors.defaultShardByteLimit

  /// A student that is its teacher yet.
  public init(source: URL) { self.source = source }

  /// Whether parts are chosen by how much they add on text.
  public var measures: Bool { keyValueHeads != nil || feedForwardShare != nil }

  /// Makes and writes it.
  ///
  /// - Parameters:
  ///   - folder: where the student goes; made where it is missing.
  ///   - replacing: write into a folder that holds files.
  ///   - samples: what heads and units are measured on; not looked at where all are kept.
  ///   - options: threads; it runs in float32 on the CPU.
  ///   - say: gets a line before each stage.
  /// - Throws: ``RecipeError`` where the teacher has no such parts, is quantized, or the folder holds files.
  public func write(
    to folder: URL, replacing: Bool = false, samples: [EncodedSample] = [], options: ModelOptions = ModelOptions(),
    say: (String) -> Void = { _ in }
  ) throws -> Report {
    try OutputFolder(url: folder).check(inputs: [source], replacing: replacing, for: "the model")
    var options = options
    (options.dtype, options.device, options.quantization) = (.float32, .cpu, nil)
    say("reading \(source.path)")
    let teacher = try ModelWeights(source, options: options)
    guard !teacher.files.weights.staysPacked else {
      throw RecipeError("\(teacher.path) is quantized; make the student of the model that it was made from")
    }
    guard !measures || !samples.isEmpty else {
      throw RecipeError("heads and units are chosen by what they do on text: give some with --data")
    }
    let cut = try StudentCut(self, teacher: teacher, samples: samples, say: say)
    let student = try cut.student(of: teacher)
    say("writing \(folder.path)")
    var export = ModelExport(
      source: source, files: teacher.files, dtype: MergedModel.storedDType(teacher.files.weights), shardByteLimit: shardByteLimit)
    export.config = cut.config
    let (written, notes) = try export.write(student, to: folder)
    return Report(
      files: written, layers: cut.layers, heads: cut.heads, keyValueHeads: cut.groupCount, units: cut.unitCount,
      teacherParameters: teacher.model.parameterCount().total, parameters: student.parameterCount().total, notes: notes)
  }
}
