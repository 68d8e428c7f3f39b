import NN

/// How a run goes.
public struct TrainingOptions: Sendable {
  /// When a run ends before its last step.
  public struct EarlyStopping: Sendable, Hashable {
    /// Evaluations without improvement after which it ends, from 1.
    public var patience: Int
    /// How much less a loss must be to count as improvement.
    public var minimumDelta: Double

    /// Stops after `patience` evaluations without improvement.
    public init(patience: Int, minimumDelta: Double = 0) {
      self.patience = patience
      self.minimumDelta = minimumDelta
    }
  }

  /// Optimizer steps to take at most; nil for as many as the epochs hold.
  public var maxSteps: Int?
  /// Batches gathered into one optimizer step.
  public var gradientAccumulation = 1
  /// The highest learning rate.
  public var learningRate = 2e-4
  /// How the rate moves.
  public var schedule = Schedule.Kind.linear
  /// Steps of warm-up; nil for `warmupRatio` of all steps.
  public var warmupSteps: Int?
  /// Share of all steps that warm up.
  public var warmupRatio = 0.0
  /// The optimizer and its settings.
  public var optimizer = OptimizerOptions()
  /// The norm gradients are clipped to; nil for no clipping.
  public var maxGradientNorm: Double? = 1
  /// What is computed again in the backward pass instead of being kept.
  public var gradientCheckpointing = GradientCheckpointing.none
  /// Whether what the checkpointed parts keep lies in a file of the run's folder and not in memory.
  public var activationOffloading = false
  /// Where dropout and initialisation start.
  public var seed: UInt64 = 42
  /// Steps between rows of metrics.
  public var logEvery = 10
  /// Steps between evaluations; nil for one at the end of each epoch.
  public var evalEvery: Int?
  /// Steps between checkpoints; nil for none but when the run is stopped.
  public var saveEvery: Int? = 500
  /// Checkpoints kept.
  public var saveLimit = 2
  /// When to end early.
  public var earlyStopping: EarlyStopping?
  /// Whether the result is the state with the lowest evaluation loss, not the last.
  public var loadsBestAtEnd = false

  /// The defaults.
  public init() {}
}
