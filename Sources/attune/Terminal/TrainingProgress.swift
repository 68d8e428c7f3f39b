import Datasets
import Foundation
import Training

/// Shows a run on stderr: one line that is drawn over on a terminal, plain lines elsewhere.
final class TrainingProgress {
  private let terminal: Terminal
  private var isLineOpen = false
  private var stepsHere = 0
  private var secondsHere = 0.0
  private var tokensHere = 0
  private var lastLoss: Double?
  /// The newest checkpoint that this sitting wrote.
  private(set) var checkpoint: String?

  /// Progress on `terminal`.
  init(_ terminal: Terminal) { self.terminal = terminal }

  private func write(_ text: String) { try? terminal.write(text) }

  /// A line that stays.
  func say(_ text: String) {
    if isLineOpen { write("\r\u{1B}[K") }
    isLineOpen = false
    write(text + "\n")
  }

  /// Shows what a run tells.
  func observe(_ event: TrainingEvent) {
    switch event {
    case .started(let step, let total):
      say(step == 0 ? "training for \(counted(total, "step"))" : "going on after step \(step) of \(total)")
    case .step(let report): show(report)
    case .evaluated(let step, let loss, let isBest):
      say("step \(step): evaluation loss \(String(format: "%.4f", loss))\(isBest ? ", the lowest so far" : "")")
    case .saved(let step, let path):
      checkpoint = path
      say("step \(step): saved \(path)")
    case .stoppedEarly(let step): say("step \(step): evaluations have stopped improving; ending early")
    case .warning(let text): say("warning: \(text)")
    }
  }

  private func show(_ report: StepReport) {
    stepsHere += 1
    secondsHere += report.seconds
    tokensHere += report.tokens
    // A running mean: single steps jump.
    lastLoss = lastLoss.map { 0.8 * $0 + 0.2 * report.loss } ?? report.loss
    if terminal.isInteractive {
      let done = report.step == report.totalSteps
      write("\r\u{1B}[K" + line(report, bar: true) + (done ? "\n" : ""))
      isLineOpen = !done
    } else if report.isLogged {
      write(line(report, bar: false) + "\n")
    }
  }

  private func line(_ report: StepReport, bar: Bool) -> String {
    let rest = Double(report.totalSteps - report.step) * secondsHere / Double(stepsHere)
    let figures =
      "step \(report.step)/\(report.totalSteps)  loss \(String(format: "%.4f", lastLoss ?? report.loss))  "
      + "\(Int(Double(tokensHere) / max(secondsHere, 1e-9))) tokens/s  \(ProcessMemory.peakBytes / 1_000_000) MB  ETA \(clock(rest))"
    let space = terminal.width - figures.count - 4
    guard bar, space >= 10 else { return figures }
    let length = min(space, 30)
    let filled = length * report.step / max(1, report.totalSteps)
    return "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: length - filled) + "] " + figures
  }

  private func clock(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded())
    return whole >= 3600
      ? String(format: "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60)
      : String(format: "%d:%02d", whole / 60, whole % 60)
  }
}
