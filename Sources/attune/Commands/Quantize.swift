import ArgumentParser
import Foundation
import Recipes
import Text
import Torch

/// `attune quantize`: writes a model in few bits.
struct Quantize: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a model with its projections in 4 or 8 bits, as a folder that transformers loads with bitsandbytes.",
    discussion: """
      Bytes and keys are those of bitsandbytes 0.50. One projection is packed after the other, straight from the file. What is \
      not packed is written in the element type of the source, in bf16 where that is quantized, or in --dtype. A number that is \
      not finite is refused, with the name of its tensor.

      Example:
        attune quantize smollm2 --type nf4 --output smollm2-nf4
      """)

  @Argument(help: ArgumentHelp("The model: a name of the model store, a folder, or a .gguf file.", valueName: "name-or-path"))
  var model: String

  @Option(help: ArgumentHelp("nf4, fp4 or int8.", valueName: "format"))
  var type: Quantization

  @Option(name: .shortAndLong, help: ArgumentHelp("The folder to write.", valueName: "folder"))
  var output: String

  @Flag(inversion: .prefixedNo, help: "Put the scales of 4 bits into 8 bits: 4.13 bits a weight instead of 4.5.")
  var doubleQuant = true

  @Option(
    help: ArgumentHelp(
      "A module that stays dense: its path, the start of it up to a dot, or the end of it (default: lm_head).",
      valueName: "module"))
  var skipModule: [String] = []

  @Flag(help: "Write into a folder that holds files; those of the same names are replaced.")
  var force = false

  @OptionGroup var shards: ShardArguments

  @Flag(help: "Print one JSON object: files, dtype, and what was packed.")
  var json = false

  @OptionGroup var machine: MachineArguments

  func validate() throws {
    if type.kind == .stored { throw ValidationError("--type must be nf4, fp4 or int8") }
  }

  func run() throws {
    var quantization = type
    quantization.doubleQuant = doubleQuant
    quantization.skipModules = skipModule.isEmpty ? ["lm_head"] : skipModule
    let quantized = QuantizedModel(
      source: try ModelStore.standard.resolve(model), quantization, dtype: machine.dtype.dtype,
      shardByteLimit: shards.maxShardSize.bytes)
    let report = try quantized.write(
      to: URL(filePath: output), replacing: force, options: machine.options, say: Log.note)
    for note in report.notes { Log.line("note: \(note)") }
    try Terminal.output.write(json ? self.json(report).text(.pretty) + "\n" : words(report))
  }

  private func json(_ report: QuantizedModel.Report) -> JSON {
    [
      "output": .string(output), "files": .array(report.files.map(JSON.string)), "dtype": .string(report.dtype.rawValue),
      "packed": .int(report.packed), "dense": .int(report.dense), "packed_bytes": .int(report.packedBytes),
      "source_bytes": .int(report.sourceBytes), "notes": .array(report.notes.map(JSON.string)),
    ]
  }

  private func words(_ report: QuantizedModel.Report) -> String {
    let files = report.files.map { "wrote \(output)/\($0)\n" }.joined()
    let size = { (bytes: Int) in (Double(bytes) / 1e6).formatted(.number.precision(.significantDigits(4))) }
    return files + "\(report.packed) projections in \(type.kind.rawValue), \(report.dense) dense; their weights take "
      + "\(size(report.packedBytes)) MB instead of \(size(report.sourceBytes)) MB\n"
  }
}
