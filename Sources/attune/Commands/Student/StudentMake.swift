import ArgumentParser
import Datasets
import Foundation
import Recipes
import Text

/// `attune student make`: writes a model with fewer layers, heads or units.
struct StudentMake: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "make",
    abstract: "Write a model with fewer layers, heads or feed-forward units as a Hugging Face folder.",
    discussion: """
      The student has the teacher's numbers in what it keeps, its tokenizer and its template. What it lost has to be learnt: tune it \
      with objective: { type: distill, teacher: NAME }. Heads and units are kept that add most to what goes through the layer, \
      measured on the first tokens of --data.

      Example:
        attune student make --model smollm2 --layers 12 --output student
        attune student make --model smollm2 --ffn-share 0.5 --kv-heads 2 --data data/instructions --output narrow
      """)

  @OptionGroup var model: ModelName

  @Option(
    help: ArgumentHelp(
      "The layers kept: how many, evenly spread; even, every second one; or their numbers: 0,2,4.",
      valueName: "layers"))
  var layers: StudentLayers?

  @Option(help: ArgumentHelp("The share of feed-forward units kept in each layer.", valueName: "share"))
  var ffnShare: Double?

  @Option(help: ArgumentHelp("Key/value heads kept in each layer, each with the query heads that share it.", valueName: "n"))
  var kvHeads: Int?

  @Option(parsing: .upToNextOption, help: ArgumentHelp("Text on which heads and units are measured.", valueName: "path"))
  var data: [String] = []

  @Option(help: ArgumentHelp("Tokens of it that are looked at.", valueName: "n"))
  var calibrationTokens = 16384

  @Option(name: .shortAndLong, help: ArgumentHelp("The folder to write.", valueName: "folder"))
  var output: String

  @Flag(help: "Write into a folder that holds files; those of the same names are replaced.")
  var force = false

  @OptionGroup var shards: ShardArguments

  @Flag(help: "Print one JSON object: files, layers, heads, units, parameters.")
  var json = false

  @Option(help: ArgumentHelp("Threads inside one operation (default: all cores).", valueName: "n"))
  var threads: Int?

  func validate() throws {
    guard layers != nil || ffnShare != nil || kvHeads != nil else {
      throw ValidationError("say what is kept: --layers, --ffn-share or --kv-heads")
    }
    guard (ffnShare == nil && kvHeads == nil) == data.isEmpty else {
      throw ValidationError("--ffn-share and --kv-heads choose by what is measured on --data, and nothing else does: give both")
    }
    if let ffnShare, !(ffnShare > 0 && ffnShare <= 1) {
      throw ValidationError("--ffn-share must be above 0 up to 1, not \(ffnShare)")
    }
    if let kvHeads, kvHeads < 1 { throw ValidationError("--kv-heads must be a number from 1, not \(kvHeads)") }
    if calibrationTokens < 1 { throw ValidationError("--calibration-tokens must be a number from 1, not \(calibrationTokens)") }
  }

  func run() throws {
    let source = try ModelStore.standard.resolve(model.name)
    var student = StudentModel(source: source)
    (student.layers, student.keyValueHeads, student.feedForwardShare) = (layers, kvHeads, ffnShare)
    student.shardByteLimit = shards.maxShardSize.bytes
    let report = try student.write(
      to: URL(filePath: output), replacing: force, samples: try samples(TextSide(source)),
      options: ModelOptions(threads: threads), say: Log.note)
    for note in report.notes { Log.line("note: \(note)") }
    try Terminal.output.write(json ? self.json(report).text(.pretty) + "\n" : words(report))
  }

  /// Samples of --data up to the number of tokens that are looked at.
  private func samples(_ text: TextSide) throws -> [EncodedSample] {
    guard !data.isEmpty else { return [] }
    for path in data where !FileManager.default.fileExists(atPath: path) { throw CommandError("--data: there is no “\(path)”") }
    let encoder = try SampleEncoder(
      tokenizer: text.tokenizer, renderer: text.template(), settings: EncodingSettings(maxLength: 512)
    ) { try assistantSpans(of: $0, tools: $1, using: $2) }
    let encoded = try Dataset.load(data.map { DataSource(path: $0, format: "auto") }).encoded(with: encoder)
    var tokens = 0
    return Array(
      encoded.samples.prefix { sample in
        defer { tokens += sample.ids.count }
        return tokens < calibrationTokens
      })
  }

  private func json(_ report: StudentModel.Report) -> JSON {
    [
      "output": .string(output), "files": .array(report.files.map(JSON.string)), "layers": .array(report.layers.map(JSON.int)),
      "heads": .int(report.heads), "kv_heads": .int(report.keyValueHeads), "ffn_units": .int(report.units),
      "teacher_parameters": .int(report.teacherParameters), "parameters": .int(report.parameters),
      "notes": .array(report.notes.map(JSON.string)),
    ]
  }

  private func words(_ report: StudentModel.Report) -> String {
    let share = 100 * Double(report.parameters) / Double(max(1, report.teacherParameters))
    return report.files.map { "wrote \(output)/\($0)\n" }.joined()
      + "layers \(report.layers.map(String.init).joined(separator: ", ")); \(report.heads) heads, \(report.keyValueHeads) of keys and "
      + "values, \(report.units) units\n"
      + "\(report.parameters) of \(report.teacherParameters) parameters (\(share.formatted(.number.precision(.fractionLength(1)))) %)\n"
  }
}

extension StudentLayers: ExpressibleByArgument {
  /// The layers that an argument names.
  public init?(argument: String) { self.init(parsing: argument) }
}
