import ArgumentParser
import Foundation
import Recipes
import Training

struct Tune: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train by a recipe.",
    discussion: """
      Every key of the recipe can be set here too: attune tune recipe.yaml --set train.learning_rate=1e-4 --set method.r=16
      Ctrl-C finishes the step, saves, and says how to go on.
      """)

  @Argument(help: "The recipe, a YAML file.", completion: .file(extensions: ["yaml", "yml"]))
  var recipe: String

  @Option(name: .customLong("set"), parsing: .unconditionalSingleValue, help: "Set a key of the recipe: key.path=value.")
  var settings: [String] = []

  @Flag(help: "Go on with the run in the output folder, from its newest whole checkpoint.")
  var resume = false

  @Flag(help: "Remove the run that the output folder holds, and start anew.")
  var overwrite = false

  @Flag(help: "Check the recipe and its paths, and stop.")
  var check = false

  @Flag(help: "Where the run does not fit into memory, change the recipe so that it does, as cheaply as possible.")
  var fit = false

  @Flag(help: "Plan no memory before the run, and try no step before the first one.")
  var noPlan = false

  @Flag(help: "Start from an adapter, or go on with a run, that was trained on another base.")
  var anyBase = false

  @Flag(help: "Encode the data anew, and keep nothing of it: data.cache=false.")
  var noCache = false

  @Flag(help: "Print the result as JSON.")
  var json = false

  func validate() throws {
    if resume, overwrite { throw ValidationError("--resume and --overwrite exclude each other") }
    if fit, resume { throw ValidationError("a run that was fitted goes on by the recipe.yaml in its folder, without --fit") }
    if fit, noPlan { throw ValidationError("--fit and --no-plan exclude each other") }
  }

  func run() throws {
    let recipe = try Recipe(contentsOf: URL(filePath: recipe), overrides: settings + (noCache ? ["data.cache=false"] : []))
    if let run = FeedbackRun(recipe) { return try goRound(run, recipe) }
    let run = TuneRun(recipe)
    run.anyBase = anyBase
    run.memoryCheck = noPlan ? .none : fit ? .fit : .refuse
    try run.check(resuming: resume, overwriting: overwrite)
    if check {
      try Terminal.output.write(recipe.yaml)
      return
    }
    try train(run)
  }

  /// Runs a recipe that generates, judges and tunes in rounds.
  private func goRound(_ run: FeedbackRun, _ recipe: Recipe) throws {
    run.anyBase = anyBase
    try run.check(resuming: resume, overwriting: overwrite)
    if check {
      try Terminal.output.write(recipe.yaml)
      return
    }
    try FeedbackTuning(run: run, resuming: resume, json: json, resumeCommand: resumeCommand(URL(filePath: recipe.output))).go()
  }

  private func train(_ run: TuneRun) throws {
    let progress = TrainingProgress(Terminal.error)
    defer { StopSignal.endHandling() }
    do {
      let result = try run.run(
        resuming: resume, shouldStop: { StopSignal.isSet },
        announce: { plan in
          plan.dataNotes.forEach(progress.say)
          plan.memoryNotes.forEach(progress.say)
          progress.say(plan.summary)
          // Before this there is nothing to save, and a signal ends the program at once.
          StopSignal.beginHandling()
        }, observe: progress.observe)
      try finish(run, result)
    } catch let stop as TrainingInterrupted {
      progress.say("stopped after step \(stop.step); everything is in \(stop.checkpoint)")
      progress.say("go on with: \(resumeCommand(run.output))")
      throw Interrupted()
    } catch {
      if let checkpoint = progress.checkpoint {
        progress.say("the run ends; its newest checkpoint is \(checkpoint)")
        progress.say("once what follows is mended, go on with: \(resumeCommand(run.output))")
      }
      throw error
    }
  }

  /// What the user typed, with `--resume`.
  private func resumeCommand(_ output: URL) -> String {
    let flags = (noPlan ? ["--no-plan"] : []) + (anyBase ? ["--any-base"] : []) + (noCache ? ["--no-cache"] : []) + ["--resume"]
    // A recipe that was changed so that it fits is in the run's folder.
    let own = fit ? [output.appending(path: "recipe.yaml").path] : [recipe] + settings.flatMap { ["--set", $0] }
    let words = ["attune", "tune"] + own + flags
    return words.map(shellQuoted).joined(separator: " ")
  }

  private func finish(_ run: TuneRun, _ result: TuneResult) throws {
    let state = result.training.state
    guard json else {
      try Terminal.output.write(
        "\(run.tunesModel ? "model:  " : "adapter:") \(result.folder.path)\nmetrics: \(run.output.appending(path: "metrics.jsonl").path)\n"
          + "report:  \(run.output.appending(path: "report.html").path)\n")
      return
    }
    let summary = TuneSummary(
      adapter: run.tunesModel ? nil : result.folder.path, model: run.tunesModel ? result.folder.path : nil, steps: state.step,
      tokens: state.tokens, seconds: state.seconds,
      loss: result.training.rows.last { $0.loss != nil }?.loss, evalLoss: result.training.evalLoss,
      bestEvalLoss: state.best?.loss,
      trainableParameters: result.plan.trainableParameters, totalParameters: result.plan.totalParameters)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    try Terminal.output.write(String(decoding: try encoder.encode(summary), as: UTF8.self) + "\n")
  }
}

/// What `attune tune --json` prints.
private struct TuneSummary: Encodable {
  let adapter: String?
  let model: String?
  let steps: Int
  let tokens: Int
  let seconds: Double
  let loss: Double?
  let evalLoss: Double?
  let bestEvalLoss: Double?
  let trainableParameters: Int
  let totalParameters: Int
}

/// A word as a shell takes it.
func shellQuoted(_ word: String) -> String {
  let isPlain = !word.isEmpty && word.allSatisfy { $0.isLetter || $0.isNumber || "-_./=:,@%+".contains($0) }
  return isPlain ? word : "'" + word.replacing("'", with: "'\\''") + "'"
}
