import ArgumentParser
import Foundation
import Recipes
import Text
import Torch

/// `attune merge`: folds adapters into a model.
struct Merge: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Fold adapters into a model and write it as a Hugging Face folder.",
    discussion: """
      Sums are made in f32 and written in the element type of the source, in bf16 where that is quantized, or in --dtype. \\
      Quantized weights are expanded first; with --quantize, those the adapter was trained on. The \\
      tokenizer and the chat template go along. The folder is read back and its scores are compared with those of the model \\
      with its adapters. Without --adapter a .gguf file is converted.

      Example:
        attune merge --model smollm2 --adapter runs/tone --output merged
      """)

  @OptionGroup var model: ModelArguments

  @Option(name: .shortAndLong, help: ArgumentHelp("The folder to write.", valueName: "folder"))
  var output: String

  @Flag(help: "Write into a folder that holds files; those of the same names are replaced.")
  var force = false

  @OptionGroup var shards: ShardArguments

  @Flag(help: "Print one JSON object: files, dtype, and how exact the result is.")
  var json = false

  @OptionGroup var weights: QuantizationArguments

  @OptionGroup var machine: MachineArguments

  func run() throws {
    let source = try ModelStore.standard.resolve(model.model.name)
    let merge = MergedModel(
      source: source, weighted: model.adapter, dtype: machine.dtype.dtype, shardByteLimit: shards.maxShardSize.bytes,
      anyBase: model.anyBase)
    var options = machine.options
    options.quantization = weights.quantize
    let report = try merge.write(to: URL(filePath: output), replacing: force, options: options, say: Log.note)
    for note in report.notes { Log.line("note: \(note)") }
    try Terminal.output.write(json ? self.json(report).text(.pretty) + "\n" : words(report))
  }

  private func json(_ report: MergedModel.Report) -> JSON {
    [
      "output": .string(output), "files": .array(report.files.map(JSON.string)), "dtype": .string(report.dtype.rawValue),
      "max_difference": .double(report.check.maxDifference), "max_score": .double(report.check.maxScore),
      "same_best": .double(report.check.sameBest), "notes": .array(report.notes.map(JSON.string)),
    ]
  }

  private func words(_ report: MergedModel.Report) -> String {
    let check = report.check
    let difference = check.maxDifference.formatted(.number.precision(.significantDigits(2)))
    let largest = check.maxScore.formatted(.number.precision(.significantDigits(3)))
    let files = report.files.map { "wrote \(output)/\($0)\n" }.joined()
    return files + "weights \(report.dtype.rawValue); scores differ by at most \(difference) (largest score \(largest)); "
      + "the likeliest token is the same at \(Int((check.sameBest * 100).rounded())) % of places\n"
  }
}
