/// Why a run cannot start or go on.
public struct TrainingError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong, where, and what to do.
  public let description: String

  /// An error that says `description`.
  public init(_ description: String) { self.description = description }
}

/// A run stopped on request, with everything it needs to go on saved.
public struct TrainingInterrupted: Error, Sendable, Hashable {
  /// Steps done.
  public let step: Int
  /// The folder of the checkpoint.
  public let checkpoint: String

  /// An interruption after `step` steps, with its checkpoint.
  public init(step: Int, checkpoint: String) { (self.step, self.checkpoint) = (step, checkpoint) }
}
