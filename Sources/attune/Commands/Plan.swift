import ArgumentParser
import Checkpoints
import Foundation
import Recipes
import Torch

/// `attune plan`: what a run needs.
struct Plan: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tell the memory, time and disk that a recipe needs, before anything is loaded.",
    discussion: """
      Only configuration, headers, tokenizer and data are read. The run is gone through without numbers, and its memory counted.

      Example:
        attune plan recipe.yaml --memory 8GB --fit --output smaller.yaml
      """)

  @Argument(help: "The recipe, a YAML file.", completion: .file(extensions: ["yaml", "yml"]))
  var recipe: String

  @Option(name: .customLong("set"), parsing: .unconditionalSingleValue, help: "Set a key of the recipe: key.path=value.")
  var settings: [String] = []

  @Flag(help: "Do not read the data: plan for samples as long as data.max_length lets them be.")
  var noData = false

  @Option(help: ArgumentHelp("The memory that there is to be (default: what this machine has left).", valueName: "size"))
  var memory: ByteSize?

  @Flag(help: "Do not measure the rate of matrix products, which takes seconds; time is not told then.")
  var noTime = false

  @Flag(help: "Where it does not fit, change the recipe so that it does, as cheaply as possible, and print it.")
  var fit = false

  @Option(name: .shortAndLong, help: ArgumentHelp("With --fit, the file to write the recipe to.", valueName: "file"))
  var output: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    if output != nil, !fit { throw ValidationError("--output is for the recipe that --fit makes") }
  }

  func run() throws {
    let recipe = try Recipe(contentsOf: URL(filePath: recipe), overrides: settings)
    let planner = RunPlanner(recipe, available: memory?.bytes)
    let outcome = try planner.plan(readingData: !noData, measuringTime: !noTime, fitting: fit)
    if let output, let fitted = outcome.fitted { try AtomicFile.write(fitted.yaml, to: URL(filePath: output)) }
    if json {
      try Terminal.output.write(try JSONReport.text(PlanReport(outcome)) + "\n")
      return
    }
    try Terminal.output.write(PlanPage(outcome).text)
    guard let fitted = outcome.fitted, output == nil else { return }
    try Terminal.output.write("\n" + fitted.yaml)
  }
}

/// What `attune plan --json` prints.
private struct PlanReport: Encodable {
  let plan: RunPlan
  let fits: Bool
  let changes: [PlanChange]
  /// The keys that `--fit` set, and the plan with them.
  let fittedSettings: [String]?
  let fittedPlan: RunPlan?
  let fittedFits: Bool?

  init(_ outcome: RunPlanner.Outcome) {
    (plan, fits, changes) = (outcome.plan, outcome.plan.fits, outcome.changes)
    (fittedSettings, fittedPlan, fittedFits) = (outcome.fitted?.settings, outcome.fitted?.plan, outcome.fitted?.plan.fits)
  }
}

/// A plan as text.
private struct PlanPage {
  let outcome: RunPlanner.Outcome

  init(_ outcome: RunPlanner.Outcome) { self.outcome = outcome }

  var text: String {
    let plan = outcome.plan
    var lines = head(plan) + [""] + memory(plan).lines + [""] + costs(plan).lines
    lines += verdict(plan)
    if let fitted = outcome.fitted {
      lines += ["", "Changed so that it \(fitted.plan.fits ? "fits" : "needs less; it does not fit yet"):"]
      lines += zip(fitted.settings, fitted.settings).map { "  \($0.0)" }
      lines.append(fitted.plan.line)
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private func head(_ plan: RunPlan) -> [String] {
    let batch = plan.largestBatch
    let share = 100 * Double(plan.trainableParameters) / Double(max(1, plan.parameters))
    return [
      "\(plan.model), \(plan.method), \(plan.objective), \(plan.dtype) on \(plan.device)",
      "\(plan.trainableParameters.grouped) of \(plan.parameters.grouped) parameters trained (\(String(format: "%.4f", share)) %)",
      "largest batch: \(batch.samples) samples, \(batch.tokens.grouped) tokens, the longest sample \(batch.longestSample.grouped)"
        + (batch.isAssumed ? " (assumed: the data were not read)" : ""),
    ]
  }

  private func memory(_ plan: RunPlan) -> TextTable {
    var table = TextTable([["memory", ""]], numbers: [1])
    for part in plan.memory.parts { table.append("  " + part.name, RunPlan.size(part.bytes)) }
    table.append("  at most", RunPlan.size(plan.memory.peak))
    table.append("  while loading", RunPlan.size(plan.memory.loading))
    if let available = plan.memory.available { table.append("  available", RunPlan.size(available)) }
    return table
  }

  private func costs(_ plan: RunPlan) -> TextTable {
    var table = TextTable(numbers: [1])
    if let time = plan.time {
      table.append("time, an estimate", "")
      if let steps = plan.steps { table.append("  \(steps.grouped) steps", duration(time.seconds)) }
      table.append("  a step", duration(time.secondsPerStep))
      table.append("  products here", String(format: "%.0f GFLOP/s", time.matmulRate / 1e9))
      table.append("", "")
    }
    let disk = plan.disk
    table.append("disk", "")
    table.append("  result", RunPlan.size(disk.result))
    if disk.checkpointsKept > 0 {
      table.append("  \(disk.checkpointsKept) checkpoints", RunPlan.size(disk.checkpoint * disk.checkpointsKept))
    }
    if disk.best > 0 { table.append("  best state", RunPlan.size(disk.best)) }
    if disk.paged > 0 { table.append("  paged states", RunPlan.size(disk.paged)) }
    if disk.cache > 0 { table.append("  cache of tokens", RunPlan.size(disk.cache)) }
    table.append("  at most", RunPlan.size(disk.total))
    if let available = disk.available { table.append("  available", RunPlan.size(available)) }
    return table
  }

  private func verdict(_ plan: RunPlan) -> [String] {
    guard !plan.fits else { return ["", "It fits."] }
    let over = RunPlan.size(plan.memory.peak - (plan.memory.available ?? 0))
    let lines = outcome.changes.map { change in
      "  \(RunPlan.size(change.peak))  \(change.settings.map { "--set '\($0)'" }.joined(separator: " "))\n      \(change.words)"
    }
    return ["", "It does not fit: \(over) too much. Each of these alone, what costs least first:"] + lines
  }

  private func duration(_ seconds: Double) -> String {
    switch seconds {
    case ..<1: String(format: "%.2f s", seconds)
    case ..<90: String(format: "%.1f s", seconds)
    case ..<5400: String(format: "%.0f min", seconds / 60)
    default: String(format: "%.1f h", seconds / 3600)
    }
  }
}
