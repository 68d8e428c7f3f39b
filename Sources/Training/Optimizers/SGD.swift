import Torch
import Tuners

/// Stochastic gradient descent, with momentum where it is asked for, as torch has it: decay is added to the gradient.
public struct SGD: OptimizerMethod, Hashable {
  /// The share of the momentum that stays; 0 for none.
  public var momentum = 0.0
  /// The share of a gradient that is kept out of the momentum.
  public var dampening = 0.0
  /// Whether the step looks ahead along the momentum. Sutskever et al., 2013.
  public var isNesterov = false
  /// What a weight adds to its gradient.
  public var weightDecay = 0.0

  /// No momentum, no decay.
  public init() {}

  /// The defaults after `change`.
  public init(_ change: (inout SGD) -> Void) { change(&self) }

  /// `sgd`.
  public static var name: String { "sgd" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [
      .double("weight_decay", \.weightDecay, in: 0...10), .double("momentum", \.momentum, in: 0...0.99999),
      .double("dampening", \.dampening, in: 0...1), .bool("nesterov", \.isNesterov),
    ]
  }

  /// Refuses what torch refuses.
  public func validate() throws(TunerError) {
    guard !isNesterov || (momentum > 0 && dampening == 0) else {
      throw TunerError("nesterov needs a momentum above 0 and no dampening")
    }
  }

  /// The momentum, where there is one.
  public func memory(of path: String, shape: [Int]) -> [OptimizerMemory] {
    momentum > 0 ? [OptimizerMemory("momentum_buffer", shape)] : []
  }

  /// Moves parameters, all at once.
  public func step(_ moves: [OptimizerMove], _ context: OptimizerContext) throws(TorchError) {
    let rule = OptimizerStep.Rule.sgd(momentum: momentum, dampening: dampening, nesterov: isNesterov)
    try context.step(rule).take(moves.map { $0.moved($0.memory.first.map { .numbers($0) }) })
  }
}
