import Datasets
import Objectives

/// Where a run stands, apart from tensors: what a checkpoint's `state.json` holds.
public struct TrainingState: Sendable, Codable, Hashable {
  /// Optimizer steps done.
  public internal(set) var step = 0
  /// The batch that comes next.
  public internal(set) var position: DataLoader.Position
  /// Tokens that went through the model in training.
  public internal(set) var tokens = 0
  /// Seconds spent in training steps, over all sittings.
  public internal(set) var seconds = 0.0
  /// The lowest evaluation loss and its step.
  public internal(set) var best: Best?
  /// Evaluations since then.
  public internal(set) var evaluationsSinceBest = 0
  /// The step after which the last evaluation was made.
  public internal(set) var evaluatedStep = 0
  /// Σ loss·count and Σ count since the last row of metrics.
  var window = Window()

  /// The lowest evaluation loss so far.
  public struct Best: Sendable, Codable, Hashable {
    /// The loss.
    public let loss: Double
    /// The step after which it was measured.
    public let step: Int
  }

  struct Window: Sendable, Codable, Hashable {
    var lossSum = 0.0
    var figures: Figures? = nil
    var count = 0
    var tokens = 0
    var seconds = 0.0
  }
}
