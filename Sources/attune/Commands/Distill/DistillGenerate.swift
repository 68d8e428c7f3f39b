import ArgumentParser
import Checkpoints
import Datasets
import Foundation
import Recipes
import Text

/// `attune distill generate`: writes data with a teacher's answers.
struct DistillGenerate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Let a teacher answer the prompts of data, and write them with its answers as data to fine-tune a student on.",
    discussion: """
      The last assistant's turn of a conversation, or the completion, is replaced. Answers that do not end within \
      --max-new-tokens, and empty ones, are left out and counted. A student that is tuned on the result needs no teacher, and may have \
      another vocabulary.

      Example:
        attune distill generate --model smollm2 --data data/instructions --output answers.jsonl
        attune tune recipe.yaml --set data.train=answers.jsonl
      """)

  @OptionGroup var model: ModelArguments

  @Option(parsing: .upToNextOption, help: ArgumentHelp("Files or folders of samples.", valueName: "path"))
  var data: [String]

  @Option(
    help: ArgumentHelp(
      "How their rows are written: auto, \(DatasetFormat.all.map(\.name).joined(separator: ", ")).", valueName: "name"))
  var format = "auto"

  @Option(help: ArgumentHelp("Answer the first n samples only.", valueName: "n"))
  var limit: Int?

  @Option(help: ArgumentHelp("Answers that are written at once.", valueName: "n"))
  var batchSize = 8

  @Option(name: .shortAndLong, help: ArgumentHelp("The file to write, JSON lines.", valueName: "file"))
  var output: String

  @Flag(help: "Replace a file that is there.")
  var force = false

  @Flag(help: "Print one JSON object: how many answers were written and left out.")
  var json = false

  @OptionGroup var sampling: SamplingArguments

  @OptionGroup var weights: QuantizationArguments

  @OptionGroup var machine: MachineArguments

  func validate() throws {
    guard format == "auto" || DatasetFormat.all.contains(where: { $0.name == format }) else {
      let names = DatasetFormat.all.map(\.name).joined(separator: ", ")
      throw ValidationError("--format “\(format)” is not known; write one of auto, \(names)")
    }
    if let limit, limit < 1 { throw ValidationError("--limit must be a number from 1, not \(limit)") }
    if batchSize < 1 { throw ValidationError("--batch-size must be a number from 1, not \(batchSize)") }
  }

  func run() throws {
    for path in data where !FileManager.default.fileExists(atPath: path) { throw CommandError("--data: there is no “\(path)”") }
    guard force || !FileManager.default.fileExists(atPath: output) else {
      throw CommandError("--output: \(output) is there already; --force replaces it")
    }
    let dataset = try Dataset.load(data.map { DataSource(path: $0, format: format) })
    let samples = Array(dataset.samples.prefix(limit ?? dataset.samples.count))
    let loaded = try model.load(machine, quantization: weights.quantization)
    var answers = TeacherAnswers(
      loaded, settings: sampling.settings(for: loaded.generationConfig, endTokens: loaded.stopTokens))
    answers.batchSize = batchSize
    let report = try StopSignal.handling {
      try AtomicFile.write(to: URL(filePath: output)) { sink in
        let report = try answers.answer(
          samples, shouldStop: { StopSignal.isSet }, progress: { Progress.show($0, of: samples.count, "samples answered") },
          write: { try sink.write($0) })
        try StopSignal.check()
        guard report.written > 0 else {
          throw CommandError(
            "none of \(samples.count) answers can be learnt from: \(report.unfinished) did not end within --max-new-tokens, "
              + "\(report.empty) are empty")
        }
        return report
      }
    }
    try Terminal.output.write(json ? self.json(report).text(.pretty) + "\n" : words(report))
  }

  private func json(_ report: TeacherAnswers.Report) -> JSON {
    [
      "output": .string(output), "written": .int(report.written), "unfinished": .int(report.unfinished),
      "empty": .int(report.empty), "tokens": .int(report.tokens),
    ]
  }

  private func words(_ report: TeacherAnswers.Report) -> String {
    "wrote \(output): \(counted(report.written, "answer")); left out \(report.unfinished) that did not end within "
      + "--max-new-tokens, and \(report.empty) empty ones\n"
  }
}
