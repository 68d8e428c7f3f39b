import Foundation

/// How the learning rate moves over a run, as a factor of its highest value.
public struct Schedule: Sendable, Hashable {
  /// The shape after warm-up.
  public enum Kind: String, Sendable, Hashable, CaseIterable, Codable {
    /// Stays at 1.
    case constant
    /// Falls to 0 in a straight line.
    case linear
    /// Falls to 0 along half a cosine.
    case cosine
  }

  /// The shape after warm-up.
  public var kind: Kind
  /// Steps in which it rises from 0 in a straight line.
  public var warmupSteps: Int
  /// Steps of the whole run.
  public var totalSteps: Int

  /// A schedule for a run of `totalSteps`.
  public init(_ kind: Kind, warmupSteps: Int = 0, totalSteps: Int) {
    self.kind = kind
    self.warmupSteps = warmupSteps
    self.totalSteps = totalSteps
  }

  /// The factor for the step after `done` steps, as transformers' schedulers give it.
  public func factor(after done: Int) -> Double {
    if done < warmupSteps { return Double(done) / Double(max(1, warmupSteps)) }
    let rest = Double(max(1, totalSteps - warmupSteps))
    switch kind {
    case .constant: return 1
    case .linear: return max(0, Double(totalSteps - done) / rest)
    case .cosine:
      let progress = Double(done - warmupSteps) / rest
      return max(0, 0.5 * (1 + cos(.pi * progress)))
    }
  }
}
