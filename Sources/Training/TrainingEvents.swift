/// What a run tells whoever watches it.
public enum TrainingEvent: Sendable {
  /// It starts, or goes on after `step` steps.
  case started(step: Int, totalSteps: Int)
  /// A step is done. `row` is there where the step wrote metrics.
  case step(StepReport)
  /// An evaluation is done.
  case evaluated(step: Int, loss: Double, isBest: Bool)
  /// A checkpoint is on disk.
  case saved(step: Int, path: String)
  /// The run ended because evaluations stopped improving.
  case stoppedEarly(step: Int)
  /// Something to know that does not stop the run.
  case warning(String)
}

/// One step.
public struct StepReport: Sendable, Hashable {
  /// Steps done.
  public let step: Int
  /// Steps of the run.
  public let totalSteps: Int
  /// Epochs done, with fractions.
  public let epoch: Double
  /// Mean loss of the step's trained tokens.
  public let loss: Double
  /// The rate used.
  public let learningRate: Double
  /// The gradients' norm before clipping.
  public let gradientNorm: Double
  /// Tokens of the step.
  public let tokens: Int
  /// Seconds the step took.
  public let seconds: Double
  /// Whether it wrote a row of metrics.
  public let isLogged: Bool
}
