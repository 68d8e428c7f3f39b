import ArgumentParser
import Checkpoints
import Datasets
import Foundation
import Recipes
import Text

/// `attune data`: looks data over before it is trained on.
struct DataCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data",
    abstract: "Check data before it is trained on, and see what the model will see.",
    discussion: """
      Example:
        attune data preview train.jsonl --model smollm2
      """,
    subcommands: [Inspect.self, Preview.self, Validate.self, Encode.self, Render.self])

  struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Report lengths, duplicates, damage and what a limit would cost.",
      discussion: """
        With --model lengths are counted in its tokens, else in bytes.

        Example:
          attune data inspect train.jsonl --model smollm2 --max-length 512
        """)

    @OptionGroup var data: DataArguments

    @Option(name: .shortAndLong, help: ArgumentHelp("The model that counts the tokens.", valueName: "name-or-path"))
    var model: String?

    @OptionGroup var encoding: EncodingArguments

    @Option(help: ArgumentHelp("The data to be measured on, to find samples that are in both.", valueName: "path"))
    var eval: [String] = []

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
      if model == nil, encoding.maxLength != nil { throw ValidationError("--max-length needs --model, which counts the tokens") }
    }

    func run() throws {
      let encoder = try model.map { try encoding.encoder(TextSide(ModelStore.standard.resolve($0))) }
      let dataset = try Dataset.load(data.sources, badRows: .skip)
      let held = try eval.isEmpty ? nil : Dataset.load(eval.map { DataSource(path: $0) }, badRows: .skip)
      let report = dataset.inspected(with: encoder, eval: held)
      try Terminal.output.write((json ? JSONReport.text(report) : report.description) + "\n")
    }
  }

  struct Preview: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show samples as the model will see them, token by token.",
      discussion: """
        Learnt tokens are green on a terminal, and between ⟦ and ⟧ elsewhere.

        Example:
          attune data preview train.jsonl --model smollm2 --count 2
        """)

    @OptionGroup var data: DataArguments
    @OptionGroup var model: ModelName
    @OptionGroup var encoding: EncodingArguments

    @Option(help: ArgumentHelp("Samples to show.", valueName: "n"))
    var count = 3

    @Option(help: ArgumentHelp("Samples to pass over first.", valueName: "n"))
    var skip = 0

    @Flag(help: "Print one JSON object a line.")
    var json = false

    func validate() throws {
      guard count > 0, skip >= 0 else { throw ValidationError("--count must be a number from 1, and --skip one from 0") }
    }

    func run() throws {
      let encoder = try encoding.encoder(TextSide(ModelStore.standard.resolve(model.name)))
      let dataset = try Dataset.load(data.sources)
      guard skip < dataset.samples.count else {
        throw CommandError("there are \(dataset.samples.count) samples, and --skip \(skip) passes over all of them")
      }
      for sample in dataset.samples.dropFirst(skip).prefix(count) {
        for preview in try encoder.previews(sample) {
          let text = json ? try JSONReport.line(preview) : preview.text(Terminal.output.hasColours ? .colours : .marks)
          try Terminal.output.write(text + "\n")
        }
      }
    }
  }

  struct Validate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say whether every row can be read; exit with status 1 where one cannot.",
      discussion: """
        Example:
          attune data validate train.jsonl
        """)

    @OptionGroup var data: DataArguments

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
      let report = try Dataset.validate(data.sources)
      try Terminal.output.write((json ? JSONReport.text(report) : report.description) + "\n")
      if !report.isValid { throw ExitCode.failure }
    }
  }
}

/// Reports as JSON for programs: keys in snake case, in order.
enum JSONReport {
  /// Over several lines.
  static func text(_ report: some Encodable) throws -> String {
    try encoded(report, [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
  }

  /// On one line.
  static func line(_ report: some Encodable) throws -> String { try encoded(report, [.sortedKeys, .withoutEscapingSlashes]) }

  private static func encoded(_ report: some Encodable, _ format: JSONEncoder.OutputFormatting) throws -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = format
    return String(decoding: try encoder.encode(report), as: UTF8.self)
  }
}
