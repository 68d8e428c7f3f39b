import ArgumentParser
import Foundation
import Recipes
import Text
import Torch
import Tuners

/// `attune merge`: folds adapters into a model.
struct Merge: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Fold adapters into a model and write it as a Hugging Face folder.",
    discussion: """
      Sums are made in f32 and written in the element type of the source, in bf16 where that is quantized, or in --dtype. The \
      tokenizer and the chat template go along. The folder is read back and its scores are compared with those of the model \
      with its adapters. Without --adapter a .gguf file is converted.

      Adapters that were trained over quantized weights are merged into these and into the original ones, where they are there; \
      both are measured against the model with its adapters, and what is closer is written.

      Example:
        attune merge --model smollm2 --adapter runs/tone --output merged
      """)

  @OptionGroup var model: ModelArguments

  @Option(name: .shortAndLong, help: ArgumentHelp("The folder to write.", valueName: "folder"))
  var output: String

  @Flag(help: "Write into a folder that holds files; those of the same names are replaced.")
  var force = false

  @OptionGroup var shards: ShardArguments

  @Flag(help: "Print one JSON object: files, dtype, how exact the result is, and what each base and quantizing cost.")
  var json = false

  @Option(
    help: ArgumentHelp(
      "How the weights were quantized that the adapters were trained over, where they do not say it: nf4, “nf4, double”, fp4, int8.",
      valueName: "format"))
  var trainedOver: String?

  @Option(help: "The base to merge into: dequantized or original (default: the one that is closer to the adapters at work).")
  var base: MergeBase?

  @Option(
    help: ArgumentHelp("The model before it was quantized, where its folder does not say which.", valueName: "name-or-path"))
  var original: String?

  @Option(help: ArgumentHelp("The text that bases are measured on (default: one of Attune's own).", valueName: "file"))
  var text: String?

  @Option(
    help: ArgumentHelp("Quantize the merged weights again: nf4, fp4 or int8. What that costs is measured.", valueName: "format"))
  var quantize: Quantization?

  @Flag(inversion: .prefixedNo, help: "With nf4 and fp4: keep their scales in 8 bits.")
  var doubleQuant = true

  @OptionGroup var machine: MachineArguments

  func validate() throws {
    if quantize?.kind == .stored { throw ValidationError("--quantize must be nf4, fp4 or int8") }
    if !doubleQuant, quantize?.kind != .nf4, quantize?.kind != .fp4 {
      throw ValidationError("--no-double-quant goes with --quantize nf4 or fp4")
    }
    if let trainedOver, Quantization(trained: trainedOver) == nil {
      throw ValidationError("--trained-over must be nf4, fp4, “nf4, double”, “fp4, double” or int8, not \(trainedOver)")
    }
  }

  func run() throws {
    var merge = MergedModel(
      source: try ModelStore.standard.resolve(model.model.name), weighted: model.adapter, dtype: machine.dtype.dtype,
      shardByteLimit: shards.maxShardSize.bytes, anyBase: model.anyBase)
    merge.trainedOver = trainedOver.flatMap(Quantization.init(trained:))?.record
    (merge.base, merge.text) = (base, text.map { URL(filePath: $0) })
    merge.original = try original.map(ModelStore.standard.resolve)
    merge.requantization = quantize
    merge.requantization?.doubleQuant = doubleQuant
    merge.requantization?.skipModules = ["lm_head"]
    let report = try merge.write(to: URL(filePath: output), replacing: force, options: machine.options, say: Log.note)
    for note in report.notes { Log.line("note: \(note)") }
    if let loss = report.requantization { Log.line("warning: " + MergeFigures.words(loss)) }
    try Terminal.output.write(
      json ? MergeFigures.json(report, output: output).text(.pretty) + "\n" : MergeFigures.words(report, output: output))
  }
}

extension MergeBase: ExpressibleByArgument {}

extension Quantization {
  /// The format of words as `attune adapters inspect` shows them.
  fileprivate init?(trained text: String) {
    self.init(BaseQuantization(described: text))
    skipModules = ["lm_head"]
  }
}
