import Text
import Torch
import Tuners

/// A rule that moves parameters along their gradients: settings that know how to be read and written, and a step.
///
/// An optimizer is one file with its settings and its step, and one line in ``Optimizers``.
public protocol OptimizerMethod: Sendable {
  /// Its name in a recipe: `adamw` …
  static var name: String { get }
  /// Its settings, each with its key, its field and its range.
  static var settings: [Setting<Self>] { get }
  /// The defaults.
  init()
  /// Checks what no single setting says.
  ///
  /// - Throws: `TunerError` that names the key.
  func validate() throws(TunerError)
  /// Decay of a parameter that no pattern names.
  var weightDecay: Double { get }
  /// Whether what it remembers is kept in a file that the system can page.
  var isPaged: Bool { get }
  /// The same rule with everything in memory.
  var unpaged: Self { get }
  /// What is remembered of a parameter: from shapes alone, so that memory can be told before anything is loaded.
  ///
  /// - Parameters:
  ///   - path: the parameter's path.
  ///   - shape: its shape.
  func memory(of path: String, shape: [Int]) -> [OptimizerMemory]
  /// The learning rate of a step, where the run's schedule gives `given`.
  func learningRate(_ given: Double, step: Int) -> Double
  /// Moves parameters in place.
  ///
  /// - Parameters:
  ///   - moves: what is moved, each with what ``memory(of:shape:)`` asked for.
  ///   - context: what all of them share.
  func step(_ moves: [OptimizerMove], _ context: OptimizerContext) throws(TorchError)
}

/// A tensor that an optimizer remembers of a parameter. It begins as zeros.
public struct OptimizerMemory: Sendable, Hashable {
  /// Its name, put behind the parameter's path in a checkpoint.
  public let name: String
  /// Its shape.
  public let shape: [Int]
  /// Its element type.
  public let dtype: DType

  /// A tensor of this name and shape.
  public init(_ name: String, _ shape: [Int], _ dtype: DType = .float32) {
    (self.name, self.shape, self.dtype) = (name, shape, dtype)
  }

  /// Bytes it takes.
  public var byteCount: Int { shape.reduce(1, *) * dtype.byteSize }
}

/// A parameter on the point of being moved.
public struct OptimizerMove {
  /// The parameter's path.
  public let path: String
  /// The parameter.
  public let parameter: Tensor
  /// Its gradient.
  public let gradient: Tensor
  /// What is remembered, in the order of ``OptimizerMethod/memory(of:shape:)``.
  public let memory: [Tensor]
  /// Its learning rate.
  public let learningRate: Double
  /// Its decay.
  public let weightDecay: Double
  /// Which random numbers round it where it is bfloat16.
  public let noise: UInt64

  /// Bytes of what is remembered.
  var memoryByteCount: Int { memory.reduce(0) { $0 + $1.byteCount } }

  /// The same as the shim takes it.
  ///
  /// - Parameters:
  ///   - first: what the rule remembers first.
  ///   - second: what it remembers besides.
  func moved(_ first: StepState? = nil, _ second: StepState? = nil) -> MovedParameter {
    MovedParameter(
      parameter, gradient: gradient, first: first, second: second, learningRate: learningRate, weightDecay: weightDecay,
      noise: noise)
  }
}

/// What all parameters of a step share.
public struct OptimizerContext: Sendable {
  /// The step, from 1.
  public let step: Int
  /// What gradients are multiplied by first.
  public let gradientScale: Double
  /// Whether bfloat16 parameters are rounded up or down at random.
  public let roundsAtRandom: Bool

  /// A step of an element-wise rule.
  func step(_ rule: OptimizerStep.Rule) -> OptimizerStep {
    var made = OptimizerStep(rule, step: step)
    (made.gradientScale, made.roundsAtRandom) = (gradientScale, roundsAtRandom)
    return made
  }
}

extension OptimizerMethod {
  /// Its name in a recipe.
  public var name: String { Self.name }
  /// Nothing to check.
  public func validate() throws(TunerError) {}
  /// False.
  public var isPaged: Bool { false }
  /// Itself.
  public var unpaged: Self { self }
  /// The run's.
  public func learningRate(_ given: Double, step: Int) -> Double { given }

  /// Reads a recipe's keys.
  ///
  /// - Throws: what `source` throws, and `TunerError` where settings do not go together.
  public mutating func read(recipe source: any SettingsSource) throws {
    for setting in Self.settings { try setting.read(recipe: source, into: &self) }
    try validate()
  }

  /// The settings as a recipe gives them, without those that are not set.
  public var recipeSettings: [(key: String, value: JSON)] { Self.settings.compactMap { $0.recipeValue(self) } }
}
