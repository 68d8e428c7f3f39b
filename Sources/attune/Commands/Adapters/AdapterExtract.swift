import ArgumentParser
import Datasets
import Foundation
import Recipes
import Text
import Tuners

/// `attune adapters extract`: an adapter of the difference of two models.
struct AdapterExtract: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "extract",
    abstract: "Make a LoRA adapter of the difference of two whole models.",
    discussion: """
      Of each projection's change the best approximation of a rank is kept, and what it leaves out is told. Norms, embeddings and \
      biases have no place in it: where they differ, they are named.

      Example:
        attune adapters extract --base smollm2 --tuned merged --rank 16 --output adapters/extracted
      """)

  @Option(help: ArgumentHelp("The model that the adapter will be for.", valueName: "name-or-path"))
  var base: String

  @Option(help: ArgumentHelp("The model that it is to stand for.", valueName: "name-or-path"))
  var tuned: String

  @Option(help: ArgumentHelp("The rank.", valueName: "n"))
  var rank = 16

  @Option(
    help: ArgumentHelp(
      "A projection to take, by its path or the end of it, such as q_proj; may be given again (default: all but the head).",
      valueName: "name"))
  var target: [String] = []

  @Option(
    help: ArgumentHelp("An expression that the whole path of a projection must match, in place of --target.", valueName: "regex"))
  var targetPattern: String?

  @Option(name: .shortAndLong, help: ArgumentHelp("The folder to write.", valueName: "folder"))
  var output: String

  @Flag(help: "Write into a folder that holds files; those of the same names are replaced.")
  var force = false

  @Flag(help: "Print one JSON object: rank, norm and error of each projection, and what is not covered.")
  var json = false

  func validate() throws {
    if rank < 1 { throw ValidationError("--rank must be at least 1, not \(rank)") }
    if !target.isEmpty, targetPattern != nil { throw ValidationError("--target and --target-pattern exclude each other") }
  }

  func run() throws {
    let targets = targetPattern.map(TargetModules.pattern) ?? (target.isEmpty ? .allLinear : .names(target))
    let store = ModelStore.standard
    let (baseURL, tunedURL) = (try store.resolve(base), try store.resolve(tuned))
    let report = try Progress.showing { progress in
      try AdapterExtraction(rank: rank, targets: targets).extract(
        base: baseURL, tuned: tunedURL, named: base, to: URL(filePath: output), replacing: force, progress: progress)
    }
    try Terminal.output.write(json ? self.json(report).text(.pretty) + "\n" : words(report))
  }

  private func json(_ report: AdapterExtraction.Report) -> JSON {
    [
      "output": .string(output), "relative_error": .double(report.error), "relative_error_whole": .double(report.wholeError),
      "modules": .array(
        report.modules.map {
          [
            "path": .string($0.path), "rank": .int($0.rank), "norm": .double($0.norm), "relative_error": .double($0.error),
          ]
        }),
      "not_covered": .array(
        report.uncovered.map { ["name": .string($0.name), "norm": $0.norm.isFinite ? .double($0.norm) : .null] }),
    ]
  }

  private func words(_ report: AdapterExtraction.Report) -> String {
    var lines = [
      "wrote \(output): \(counted(report.modules.count, "projection")) of rank \(rank)",
      "the rank leaves out \(report.error.asPercentage) of their change, \(report.wholeError.asPercentage) of all change",
    ]
    if let worst = report.modules.max(by: { $0.error < $1.error }) {
      lines.append("most at \(worst.path): \(worst.error.asPercentage)")
    }
    if !report.uncovered.isEmpty {
      let shown = report.uncovered.prefix(4).map(\.name).joined(separator: ", ")
      let more = report.uncovered.count > 4 ? " and \(report.uncovered.count - 4) more" : ""
      lines.append("not covered, and different: \(shown)\(more)")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
