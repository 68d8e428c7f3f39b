import ArgumentParser
import Datasets
import Foundation
import Recipes
import Text
import Training

/// `attune distill capture`: writes what a teacher says of data.
struct DistillCapture: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "capture",
    abstract: "Write the likeliest tokens that a teacher sees after each place of the data that is trained.",
    discussion: """
      The file is learnt from with objective: { type: distill, teacher_file: FILE }. It fits data that give the same tokens and \
      masks: capture with the recipe that will be trained, or give its data, --mask and --max-length. It notes the teacher, its \
      vocabulary and the temperature, and a run that does not fit is refused. It takes 6·k bytes a trained token.

      Example:
        attune distill capture --model smollm2 --recipe recipe.yaml --top-k 64 --output teacher.safetensors
      """)

  @OptionGroup var model: ModelName

  @Option(help: ArgumentHelp("An adapter at work in the teacher; several apply together.", valueName: "folder"))
  var adapter: [String] = []

  @Option(
    help: ArgumentHelp(
      "The recipe that the student is trained with: its data, its model's tokenizer and template.", valueName: "file"))
  var recipe: String?

  @Option(
    name: .customLong("set"), parsing: .unconditionalSingleValue, help: "Set a key of the recipe: key.path=value.")
  var settings: [String] = []

  @Option(parsing: .upToNextOption, help: ArgumentHelp("Files or folders of samples, in place of a recipe.", valueName: "path"))
  var data: [String] = []

  @Option(
    help: ArgumentHelp(
      "How the rows of --data are written: auto, \(DatasetFormat.all.map(\.name).joined(separator: ", ")).",
      valueName: "name"))
  var format = "auto"

  @OptionGroup var encoding: EncodingArguments

  @Option(
    help: ArgumentHelp("With --data: the student, if its template is not the teacher's.", valueName: "name-or-path"))
  var student: String?

  @Option(help: ArgumentHelp("Tokens kept after each place.", valueName: "k"))
  var topK = 64

  @Option(help: ArgumentHelp("What the teacher's logits are divided by; the run has to have the same.", valueName: "t"))
  var temperature: Double?

  @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"))
  var output: String

  @Flag(help: "Replace a file that is there.")
  var force = false

  @Flag(help: "Print one JSON object: samples, rows, bytes, and the share of the probability that was kept.")
  var json = false

  @OptionGroup var weights: QuantizationArguments

  @OptionGroup var machine: MachineArguments

  func validate() throws {
    guard (recipe == nil) != data.isEmpty else { throw ValidationError("give either --recipe or --data") }
    if recipe == nil, !settings.isEmpty { throw ValidationError("--set is for --recipe") }
    if recipe != nil, student != nil || encoding.mask != nil || encoding.maxLength != nil || encoding.truncation != nil {
      throw ValidationError("--student, --mask, --max-length and --truncation are for --data: a recipe says them itself")
    }
    guard format == "auto" || DatasetFormat.all.contains(where: { $0.name == format }) else {
      let names = DatasetFormat.all.map(\.name).joined(separator: ", ")
      throw ValidationError("--format “\(format)” is not known; write one of auto, \(names)")
    }
    if topK < 1 { throw ValidationError("--top-k must be a number from 1, not \(topK)") }
    if let temperature, !(1e-3...1e3).contains(temperature) {
      throw ValidationError("--temperature must be from 0.001 to 1000, not \(temperature)")
    }
  }

  func run() throws {
    let file = URL(filePath: output)
    guard force || !FileManager.default.fileExists(atPath: file.path) else {
      throw CommandError("--output: \(output) is there already; --force replaces it")
    }
    var capture = TeacherCapture(teacher: model.name)
    (capture.adapters, capture.topK, capture.student) = (adapter, topK, student)
    capture.options = machine.options
    capture.options.quantization = weights.quantization
    capture.temperature = temperature ?? 1
    var (source, seed) = (try dataRecipe(), UInt64(42))
    if let recipe {
      let recipe = try Recipe(contentsOf: URL(filePath: recipe), overrides: settings)
      (source, seed, capture.student) = (recipe.data, recipe.train.options.seed, recipe.model)
    }
    let report = try Progress.showing { try capture.write(source, seed: seed, to: file, progress: $0) }
    for note in report.dataNotes { Log.note(note) }
    try Terminal.output.write(json ? self.json(report).text(.pretty) + "\n" : words(report))
  }

  /// The data as a run with the same settings would have them.
  private func dataRecipe() throws -> DataRecipe {
    var recipe = DataRecipe(train: data.map { DataSource(path: $0, format: format) })
    recipe.encoding.mask = encoding.mask
    recipe.encoding.truncation = encoding.truncation
    if let length = encoding.maxLength { recipe.encoding.maxLength = length }
    for path in data where !FileManager.default.fileExists(atPath: path) { throw CommandError("--data: there is no “\(path)”") }
    return recipe
  }

  private func json(_ report: TeacherCapture.Report) -> JSON {
    [
      "output": .string(output), "samples": .int(report.samples), "rows": .int(report.rows), "top_k": .int(topK),
      "bytes": .int(report.bytes), "covered": .double(report.covered),
    ]
  }

  private func words(_ report: TeacherCapture.Report) -> String {
    let share = (report.covered * 100).formatted(.number.precision(.fractionLength(2)))
    let size = (Double(report.bytes) / 1e6).formatted(.number.precision(.significantDigits(4)))
    return "wrote \(output): \(report.rows) trained tokens of \(report.samples) samples, \(size) MB; "
      + "the \(topK) tokens kept have \(share) % of the probability\n"
  }
}
