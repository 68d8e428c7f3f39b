import Torch
import Tuners

/// Adam with decoupled weight decay. Loshchilov & Hutter, arXiv:1711.05101.
///
/// With 32 bits it is torch's, with 8 bits bitsandbytes'.
public struct AdamW: KeepsMeans, Hashable {
  /// Decay of the mean of gradients.
  public var beta1 = 0.9
  /// Decay of the mean of squared gradients.
  public var beta2 = 0.999
  /// Added to the root of the second mean.
  public var eps = 1e-8
  /// Share of a weight taken off each step, times the learning rate.
  public var weightDecay = 0.0
  /// How many bits a number of the means has.
  public var bits = StateBits.thirtyTwo
  /// The size from which a parameter's means have 8 bits.
  public var leastCodedSize = 4096
  /// Whether the means are kept in a file that the system can page.
  public var isPaged = false

  /// The defaults of torch and transformers.
  public init() {}

  /// The defaults after `change`.
  public init(_ change: (inout AdamW) -> Void) { change(&self) }

  /// `adamw`.
  public static var name: String { "adamw" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [
      .double("weight_decay", \.weightDecay, in: 0...10), .double("beta1", \.beta1, in: 0...0.99999),
      .double("beta2", \.beta2, in: 0...0.999999), .double("eps", \.eps, in: 1e-20...1),
    ] + meansSettings
  }

  /// Both means.
  public func memory(of path: String, shape: [Int]) -> [OptimizerMemory] { means(["exp_avg", "exp_avg_sq"], of: shape) }

  /// Moves parameters, all at once.
  public func step(_ moves: [OptimizerMove], _ context: OptimizerContext) throws(TorchError) {
    try context.step(.adamW(beta1: beta1, beta2: beta2, eps: eps)).take(
      moves.map { move in
        let states = states(move.memory)
        return move.moved(states[0], states[1])
      })
  }
}
