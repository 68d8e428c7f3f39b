import Torch
import Tuners

/// Second moments as one row and one column for each matrix. Shazeer & Stern, arXiv:1804.04235.
///
/// The steps are those of transformers' `Adafactor`; the defaults those of its `Trainer`, which takes rates from the run's schedule.
public struct Adafactor: OptimizerMethod, Hashable {
  /// Added to squared gradients.
  public var eps1 = 1e-30
  /// The least size of a parameter's numbers, where the rate is scaled by it.
  public var eps2 = 1e-3
  /// The root mean square that an update has at most.
  public var clipThreshold = 1.0
  /// How fast the decay of second moments nears 1: 1 − t^decayRate.
  public var decayRate = -0.8
  /// Decay of the mean of updates; nil for none, which saves its memory.
  public var beta1: Double?
  /// Share of a weight taken off each step, times the learning rate.
  public var weightDecay = 0.0
  /// Whether the rate is multiplied by the root mean square of the parameter.
  public var scalesParameter = false
  /// Whether rates are 1/√t, at most 0.01, whatever the run says.
  public var hasRelativeStep = false
  /// Whether relative rates begin at 10⁻⁶·t.
  public var warmsUp = false

  /// The defaults of transformers' `Trainer`.
  public init() {}

  /// The defaults after `change`.
  public init(_ change: (inout Adafactor) -> Void) { change(&self) }

  /// `adafactor`.
  public static var name: String { "adafactor" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [
      .double("weight_decay", \.weightDecay, in: 0...10), .double("eps1", \.eps1, in: 0...1), .double("eps2", \.eps2, in: 0...1),
      .double("clip_threshold", \.clipThreshold, in: 1e-6...1e9), .double("decay_rate", \.decayRate, in: -2...0),
      .double("beta1", \.beta1, in: 0...0.99999), .bool("scale_parameter", \.scalesParameter),
      .bool("relative_step", \.hasRelativeStep), .bool("warmup_init", \.warmsUp),
    ]
  }

  /// Refuses what transformers refuses.
  public func validate() throws(TunerError) {
    guard !warmsUp || hasRelativeStep else { throw TunerError("warmup_init needs relative_step: true") }
  }

  /// The run's rate, or the relative one.
  public func learningRate(_ given: Double, step: Int) -> Double {
    hasRelativeStep ? min(warmsUp ? 1e-6 * Double(step) : 1e-2, 1 / Double(step).squareRoot()) : given
  }

  /// Rows and columns of a matrix, all of a vector; the mean of updates, where there is one.
  public func memory(of path: String, shape: [Int]) -> [OptimizerMemory] {
    let squares =
      shape.count < 2
      ? [OptimizerMemory("exp_avg_sq", shape)]
      : [
        OptimizerMemory("exp_avg_sq_row", Array(shape.dropLast())),
        OptimizerMemory("exp_avg_sq_col", Array(shape.dropLast(2) + shape.suffix(1))),
      ]
    return squares + (beta1 == nil ? [] : [OptimizerMemory("exp_avg", shape)])
  }

  /// Moves parameters one after the other.
  public func step(_ moves: [OptimizerMove], _ context: OptimizerContext) throws(TorchError) {
    var step = AdafactorStep(step: context.step)
    (step.eps1, step.eps2, step.clipThreshold, step.decayRate) = (eps1, eps2, clipThreshold, decayRate)
    (step.beta1, step.scalesParameter) = (beta1 ?? 0, scalesParameter)
    (step.gradientScale, step.roundsAtRandom) = (context.gradientScale, context.roundsAtRandom)
    try step.take(
      moves.map { move in
        let mean = beta1 == nil ? nil : move.memory.last
        let squares: AdafactorStep.Moved.Squares =
          move.parameter.rank < 2 ? .whole(move.memory[0]) : .factored(rows: move.memory[0], columns: move.memory[1])
        return AdafactorStep.Moved(move.moved(), squares: squares, mean: mean)
      })
  }
}
