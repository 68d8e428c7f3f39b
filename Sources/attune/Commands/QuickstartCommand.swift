import ArgumentParser
import Foundation
import Recipes

struct QuickstartCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quickstart", abstract: "Measure a model on a task, tune it, measure again.",
    discussion: "`make quickstart` fetches the model and the data and runs this.")

  @Option(help: "The model's name or path.")
  var model: String

  @Option(help: "A folder with train.jsonl, test.jsonl and examples.jsonl.")
  var data: String

  @Option(help: "The run's folder.")
  var output: String

  @Option(
    name: .customLong("set"), parsing: .unconditionalSingleValue,
    help: "Set a key of the recipe it tunes by: key.path=value.")
  var settings: [String] = []

  @Flag(help: "Measure the tuned model alone, not the base.")
  var onlyTuned = false

  @OptionGroup(title: "Machine") var machine: MachineArguments

  @Flag(help: "Print every figure as JSON.")
  var json = false

  func run() throws {
    let progress = TrainingProgress(Terminal.error)
    var quickstart = Quickstart(model: model, data: data, output: output, options: machine.options)
    (quickstart.overrides, quickstart.measuresOnlyTuned) = (settings, onlyTuned)
    // It starts anew each time, so a signal ends it at once: there is nothing to save.
    try show(try quickstart.run(say: progress.say, observe: progress.observe))
  }

  private func show(_ summary: QuickstartSummary) throws {
    let folder = URL(filePath: output).standardizedFileURL
    guard !json else {
      try Terminal.output.write(try String(contentsOf: folder.appending(path: "summary.json"), encoding: .utf8) + "\n")
      return
    }
    let question = summary.question.replacing("\n\n", with: "\n       ")
    let files = ["adapter", "recipe.yaml", "metrics.jsonl", "summary.json", "report.html"].map { "wrote \(output)/\($0)\n" }
    try Terminal.output.write(
      "\n\(summary.table)\n\nasked: \(question)\nanswer: \(summary.answer)\n\n" + files.joined())
  }
}
