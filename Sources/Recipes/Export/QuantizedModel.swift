import Checkpoints
import Foundation
import NN
import Torch

/// Writes a model with its projections in few bits, as a Hugging Face folder that transformers loads with bitsandbytes.
public struct QuantizedModel {
  /// What was written.
  public struct Report: Sendable {
    /// The files, in order of writing.
    public let files: [String]
    /// The element type of everything that is not packed.
    public let dtype: DType
    /// Projections that were packed, and those that stayed dense.
    public let packed: Int, dense: Int
    /// Bytes that the packed weights take, and those they took in the source.
    public let packedBytes: Int, sourceBytes: Int
    /// What could not be written and why.
    public let notes: [String]
  }

  /// The model's folder or .gguf file.
  public let source: URL
  /// The format: any but `stored`.
  public let quantization: Quantization
  /// The element type of everything that is not packed, and that packed numbers are expanded to; nil for that of the source, bfloat16
  /// where that is quantized.
  public let dtype: DType?
  /// The most bytes of tensors in one file; a larger tensor gets a file of its own.
  public let shardByteLimit: Int

  /// A quantization of given parts.
  public init(
    source: URL, _ quantization: Quantization, dtype: DType? = nil, shardByteLimit: Int = Safetensors.defaultShardByteLimit
  ) {
    (self.source, self.quantization, self.dtype, self.shardByteLimit) = (source, quantization, dtype, shardByteLimit)
  }

  /// Packs one projection after the other and writes the folder; `config.json` comes last, so that a folder which has one is whole.
  ///
  /// Packed bits wait in a scratch file of the folder's disk, and what stays dense is read when its turn comes: memory never holds the
  /// model.
  ///
  /// - Parameters:
  ///   - folder: where the model goes; made where it is missing.
  ///   - replacing: write into a folder that holds files.
  ///   - options: threads; the element type is not used, and it runs on the CPU.
  ///   - say: gets a line before each stage.
  /// - Throws: ``RecipeError`` where the folder holds files or the source is quantized by bitsandbytes; an error that names the tensor
  ///   that holds a number which is not finite.
  public func write(
    to folder: URL, replacing: Bool = false, options: ModelOptions = ModelOptions(), say: (String) -> Void = { _ in }
  ) throws -> Report {
    guard quantization.kind != .stored else { throw RecipeError("give a format to quantize to: nf4, fp4 or int8") }
    try OutputFolder(url: folder).check(inputs: [source], replacing: replacing, for: "the model")
    let files = try ModelFiles(source)
    guard !files.weights.staysPacked else {
      throw RecipeError("\(files.path) is quantized already; quantize the model that it was made from")
    }
    let dtype = dtype ?? MergedModel.storedDType(files.weights)
    var options = options
    (options.dtype, options.device, options.quantization) = (dtype, .cpu, quantization)
    say("reading \(source.path)")
    let scratch = try ScratchFile(in: folder)
    let weights = try ModelWeights(source, options: options, keepingPacked: scratch.copy)
    let packed = weights.model.projections().compactMap { ($0.slot.value as? QuantizedLinear)?.packed }
    guard !packed.isEmpty else { throw RecipeError("the modules to skip are all there are; nothing would be quantized") }
    say("writing \(folder.path)")
    let export = ModelExport(
      source: source, files: files, dtype: dtype, origin: try QuantizedOrigin(files), shardByteLimit: shardByteLimit)
    let (written, notes) = try export.write(weights.model, to: folder) {
      scratch.release()
      weights.release($0)
    }
    return Report(
      files: written, dtype: dtype, packed: packed.count, dense: weights.model.projections().count - packed.count,
      packedBytes: packed.reduce(0) { $0 + $1.byteCount },
      sourceBytes: packed.reduce(0) { $0 + $1.shape.reduce(1, *) * dtype.byteSize }, notes: notes)
  }
}
