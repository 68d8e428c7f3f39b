import Torch
import Tuners

/// The sign of a mean, by half the memory of Adam. Chen et al., arXiv:2302.06675.
public struct Lion: KeepsMeans, Hashable {
  /// The share of the mean in what the sign is taken of.
  public var beta1 = 0.9
  /// Decay of the mean of gradients.
  public var beta2 = 0.99
  /// Share of a weight taken off each step, times the learning rate.
  public var weightDecay = 0.0
  /// How many bits a number of the mean has.
  public var bits = StateBits.thirtyTwo
  /// The size from which a parameter's mean has 8 bits.
  public var leastCodedSize = 4096
  /// Whether the mean is kept in a file that the system can page.
  public var isPaged = false

  /// The paper's β and no decay.
  public init() {}

  /// The defaults after `change`.
  public init(_ change: (inout Lion) -> Void) { change(&self) }

  /// `lion`.
  public static var name: String { "lion" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [
      .double("weight_decay", \.weightDecay, in: 0...10), .double("beta1", \.beta1, in: 0...0.99999),
      .double("beta2", \.beta2, in: 0...0.999999),
    ] + meansSettings
  }

  /// The mean.
  public func memory(of path: String, shape: [Int]) -> [OptimizerMemory] { means(["exp_avg"], of: shape) }

  /// Moves parameters, all at once.
  public func step(_ moves: [OptimizerMove], _ context: OptimizerContext) throws(TorchError) {
    try context.step(.lion(beta1: beta1, beta2: beta2)).take(moves.map { $0.moved(states($0.memory)[0]) })
  }
}
