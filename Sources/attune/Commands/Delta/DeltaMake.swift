import ArgumentParser
import Datasets
import Foundation
import Recipes
import Text
import Tuners

/// `attune delta make`: the difference of two models.
struct DeltaMake: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "make",
    abstract: "Make the difference of a tuned model and its base.",
    discussion: """
      dense gives the tuned model back to the bit. sparse keeps the elements that changed most, low-rank the best approximation \
      of each matrix's change, int8 all of it in 8 bits; they tell what they lose. fastchat is FastChat's form: differences as \
      numbers of the model's type.

      Example:
        attune delta make smollm2 merged --format low-rank --rank 32 --output merged-delta
      """)

  @Argument(help: "The base: a name of the model store, a Hugging Face folder, or a .gguf file.")
  var base: String

  @Argument(help: "The tuned model.")
  var tuned: String

  @Option(name: .shortAndLong, help: ArgumentHelp("The folder to write.", valueName: "folder"))
  var output: String

  @Option(help: ArgumentHelp("dense, sparse, low-rank, int8 or fastchat.", valueName: "format"))
  var format = DeltaFormat.dense

  @Option(
    help: ArgumentHelp("For sparse: the share of a matrix's elements to keep, above 0 up to 1 (default: 0.1).", valueName: "d"))
  var density: Double?

  @Option(help: ArgumentHelp("For low-rank: the rank (default: 64).", valueName: "n"))
  var rank: Int?

  @Flag(help: "Write into a folder that holds files; those of the same names are replaced.")
  var force = false

  @Flag(help: "Print one JSON object: format, base, bytes, error.")
  var json = false

  func validate() throws {
    if density != nil, format != .sparse { throw ValidationError("--density is for --format sparse") }
    if rank != nil, format != .lowRank { throw ValidationError("--rank is for --format low-rank") }
  }

  func run() throws {
    var maker = DeltaMaker(format)
    if let density { maker.density = density }
    if let rank { maker.rank = rank }
    let store = ModelStore.standard
    let (baseURL, tunedURL) = (try store.resolve(base), try store.resolve(tuned))
    let report = try Progress.showing { progress in
      try maker.make(base: baseURL, tuned: tunedURL, to: URL(filePath: output), replacing: force, progress: progress)
    }
    for note in report.notes { Log.line("note: \(note)") }
    let words = ["wrote \(output)"] + report.summary.lines
    try Terminal.output.write(json ? report.summary.json.text(.pretty) + "\n" : words.joined(separator: "\n") + "\n")
  }
}

extension DeltaFormat: ExpressibleByArgument {}

extension DeltaSummary {
  /// What there is to know in a table.
  var lines: [String] {
    var table = TextTable()
    table.append("form", manifest.format.rawValue)
    table.append("base", manifest.base.fingerprint)
    if let quantization = manifest.base.quantization { table.append("quantized", "\(quantization)") }
    table.append("size", "\(byteCount.asBytes); the model has \(tunedByteCount.asBytes)")
    table.append(
      "lost", manifest.error == 0 ? "nothing: the model comes back to the bit" : "\(manifest.error.asPercentage) of the change")
    for group in groups { table.append(group.encoding, "\(counted(group.tensors, "tensor")), \(group.bytes.asBytes)") }
    for (name, error) in worst { table.append("", "\(name) loses \(error.asPercentage)") }
    return table.lines
  }
}
