import Datasets
import NN
import Objectives
import Torch
import Training

/// Stands between a trainer and its objective and notes what each step worked on and how long it took.
final class StepRecorder: Objective {
  /// One optimizer step.
  struct Step {
    /// The lengths of its samples.
    let lengths: [Int]
    /// Tokens that the loss is the mean of.
    let targets: Int
    /// Batch, forward, backward, clipping and optimizer.
    let seconds: Double
    /// The mean loss.
    let loss: Double

    /// Tokens of all samples.
    var tokens: Int { lengths.reduce(0, +) }
  }

  private let objective: any Objective
  private var batches: [Batch] = []
  /// The steps so far.
  private(set) var steps: [Step] = []

  init(_ objective: any Objective) { self.objective = objective }

  var name: String { objective.name }
  var learnsFrom: LearningMaterial { objective.learnsFrom }
  var needsReference: Bool { objective.needsReference }
  var usesDropout: Bool { objective.usesDropout }
  func count(_ batch: Batch) -> Int { objective.count(batch) }

  func evaluate(_ batch: Batch, model: any CausalLM) throws -> ObjectiveSum {
    batches.append(batch)
    return try objective.evaluate(batch, model: model)
  }

  /// Takes what the trainer tells.
  func observe(_ event: TrainingEvent) {
    guard case .step(let report) = event else { return }
    steps.append(
      Step(
        lengths: batches.flatMap(\.segmentLengths), targets: batches.reduce(0) { $0 + $1.trainedTokens },
        seconds: report.seconds, loss: report.loss))
    batches = []
  }
}
