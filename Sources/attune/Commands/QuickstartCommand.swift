import ArgumentParser
import Foundation
import Recipes
import Training

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

  @OptionGroup var computing: ComputingOptions

  @Flag(help: "Print every figure as JSON.")
  var json = false

  func run() throws {
    try Status.reporting {
      let signal = StopSignal()
      let progress = TrainingProgress.standard
      let quickstart = Quickstart(model: model, data: data, output: output, options: try computing.modelOptions)
      do {
        let summary = try quickstart.run(shouldStop: { signal.isSet }, say: progress.say, observe: progress.observe)
        try show(summary)
      } catch is TrainingInterrupted {
        progress.say("stopped; a quickstart starts anew each time")
        throw ExitCode(130)
      }
    }
  }

  private func show(_ summary: QuickstartSummary) throws {
    let folder = URL(filePath: output).standardizedFileURL
    guard !json else {
      print(try String(contentsOf: folder.appending(path: "summary.json"), encoding: .utf8), terminator: "\n")
      return
    }
    print("\n\(summary.table)\n")
    print("asked: \(summary.question.replacing("\n\n", with: "\n       "))\nanswer: \(summary.answer)\n")
    for name in ["adapter", "recipe.yaml", "metrics.jsonl", "summary.json", "report.html"] {
      print("wrote \(output)/\(name)")
    }
  }
}
