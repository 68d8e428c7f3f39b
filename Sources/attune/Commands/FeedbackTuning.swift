import Foundation
import Recipes
import Training

/// A recipe with `objective: {type: rlaif}`, as `attune tune` runs it.
struct FeedbackTuning {
  let run: FeedbackRun
  let resuming: Bool
  let json: Bool
  /// The command that goes on with the run.
  let resumeCommand: String

  /// Goes round, and says where everything is.
  func go() throws {
    let progress = TrainingProgress(Terminal.error)
    StopSignal.beginHandling()
    defer { StopSignal.endHandling() }
    do {
      let result = try run.run(resuming: resuming, shouldStop: { StopSignal.isSet }) { show($0, progress) }
      try finish(result)
    } catch let error where error is FeedbackStopped || error is TrainingInterrupted {
      Progress.clear()
      progress.say("stopped; what is done is in \(run.output.path)")
      progress.say("go on with: \(resumeCommand)")
      throw Interrupted()
    } catch {
      Progress.clear()
      progress.say("the run ends; what is done is in \(run.output.path)")
      progress.say("once what follows is mended, go on with: \(resumeCommand)")
      throw error
    }
  }

  private func show(_ event: FeedbackEvent, _ progress: TrainingProgress) {
    switch event {
    case .stage(let text):
      Progress.clear()
      progress.say(text)
    case .progress(let done, let total, let what): Progress.show(done, of: total, what)
    case .tuning(let event): progress.observe(event)
    }
  }

  private func finish(_ result: FeedbackResult) throws {
    guard json else {
      try Terminal.output.write(
        "adapter: \(result.adapter.path)\nrounds:  \(run.output.appending(path: "rounds").path)\n"
          + "report:  \(run.output.appending(path: "report.html").path)\n")
      return
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    let summary = FeedbackSummary(adapter: result.adapter.path, rounds: result.rounds)
    try Terminal.output.write(String(decoding: try encoder.encode(summary), as: UTF8.self) + "\n")
  }
}

/// What `attune tune --json` prints for such a recipe.
private struct FeedbackSummary: Encodable {
  let adapter: String
  let rounds: [RoundFigures]
}
