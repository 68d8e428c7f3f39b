import CTorch

/// What an optimizer remembers of a parameter: float32 of its shape, or codes with a scale for each 256 of them.
public enum StepState {
  /// Float32 numbers of the parameter's shape.
  case numbers(Tensor)
  /// Codes (uint8) of the parameter's shape, and a float32 scale for each 256 in row-major order: ``BlockCodes``.
  case codes(Tensor, scales: Tensor)

  fileprivate var raw: ct_step_state {
    switch self {
    case .numbers(let numbers): ct_step_state(numbers: numbers.raw, scales: ct_tensor())
    case .codes(let codes, let scales): ct_step_state(numbers: codes.raw, scales: scales.raw)
    }
  }
}

extension StepState? {
  fileprivate var raw: ct_step_state { self?.raw ?? ct_step_state() }
}

/// A parameter on the point of being moved.
public struct MovedParameter {
  /// The parameter, float32 or bfloat16.
  public var parameter: Tensor
  /// Its gradient, of the same shape.
  public var gradient: Tensor
  /// What the rule remembers first: a mean of gradients.
  public var first: StepState?
  /// What it remembers besides: a mean of their squares.
  public var second: StepState?
  /// The learning rate.
  public var learningRate: Double
  /// The decay.
  public var weightDecay: Double
  /// Which random numbers round a bfloat16 parameter.
  public var noise: UInt64

  /// A parameter by its parts.
  public init(
    _ parameter: Tensor, gradient: Tensor, first: StepState? = nil, second: StepState? = nil, learningRate: Double,
    weightDecay: Double = 0, noise: UInt64 = 0
  ) {
    (self.parameter, self.gradient, self.first, self.second) = (parameter, gradient, first, second)
    (self.learningRate, self.weightDecay, self.noise) = (learningRate, weightDecay, noise)
  }
}

/// One step of a rule that moves each number by itself, in place, for any number of parameters at once. All arithmetic is in float32.
///
/// With g the gradient times ``gradientScale``, lr and λ a parameter's learning rate and decay, t the step:
public struct OptimizerStep {
  /// How a number moves.
  public enum Rule: Sendable, Hashable {
    /// m = β₁·m + (1 − β₁)·g, v = β₂·v + (1 − β₂)·g², p = p·(1 − lr·λ) − lr/(1 − β₁ᵗ)·m / (√v/√(1 − β₂ᵗ) + ε). Loshchilov & Hutter,
    /// arXiv:1711.05101.
    case adamW(beta1: Double, beta2: Double, eps: Double)
    /// p = p·(1 − lr·λ) − lr·sign(β₁·m + (1 − β₁)·g), m = β₂·m + (1 − β₂)·g. Chen et al., arXiv:2302.06675.
    case lion(beta1: Double, beta2: Double)
    /// d = g + λ·p, b = μ·b + (1 − τ)·d and b = d in the first step, p −= lr·b, or lr·(d + μ·b) where it is `nesterov`; without a first
    /// state p −= lr·d.
    case sgd(momentum: Double, dampening: Double, nesterov: Bool)
    /// p = p·(1 − lr·λ) − lr·g.
    case move
  }

  /// How a number moves.
  public var rule: Rule
  /// What gradients are multiplied by first.
  public var gradientScale = 1.0
  /// Whether bfloat16 parameters are rounded up or down at random so that the mean is exact, instead of to nearest.
  public var roundsAtRandom = false
  /// t, from 1.
  public var step: Int

  /// A step of `rule`.
  public init(_ rule: Rule, step: Int) { (self.rule, self.step) = (rule, step) }

  private var raw: ct_step_settings {
    var raw = ct_step_settings()
    (raw.gradient_scale, raw.rounds_at_random, raw.step) = (gradientScale, roundsAtRandom, Int64(step))
    switch rule {
    case .adamW(let beta1, let beta2, let eps): (raw.rule, raw.beta1, raw.beta2, raw.eps) = (CT_STEP_ADAMW, beta1, beta2, eps)
    case .lion(let beta1, let beta2): (raw.rule, raw.beta1, raw.beta2) = (CT_STEP_LION, beta1, beta2)
    case .sgd(let momentum, let dampening, let nesterov):
      (raw.rule, raw.beta1, raw.dampening, raw.nesterov) = (CT_STEP_SGD, momentum, dampening, nesterov)
    case .move: raw.rule = CT_STEP_MOVE
    }
    return raw
  }

  /// Moves the parameters.
  ///
  /// - Throws: ``TorchError`` where shapes or types do not fit, or the rule remembers more than is given.
  public func take(_ moved: [MovedParameter]) throws(TorchError) {
    var settings = raw
    let parameters = moved.map {
      ct_moved_parameter(
        parameter: $0.parameter.raw, gradient: $0.gradient.raw, first: $0.first.raw, second: $0.second.raw,
        learning_rate: $0.learningRate, weight_decay: $0.weightDecay, noise: $0.noise)
    }
    let status = withExtendedLifetime(moved) { ct_optimizer_step(parameters, Int64(parameters.count), &settings) }
    guard status == CT_OK else {
      throw TorchError(status, operation: "optimizer step", operands: moved.flatMap { [$0.parameter, $0.gradient] })
    }
  }
}

/// One step of Adafactor in place. Shazeer & Stern, arXiv:1804.04235, as transformers has it.
///
/// With g the scaled gradient, β = 1 − t^`decayRate` and V̂ the product of the means of g² + ε₁ over rows and over columns, or their
/// running mean itself for what has one dimension: u = g/√V̂, u = u/max(1, RMS(u)/`clipThreshold`), α = lr·max(ε₂, RMS(p)) or lr;
/// p = p·(1 − α·λ) − α·u, where α·u is replaced by its running mean if there is one.
public struct AdafactorStep {
  /// A parameter with what is remembered of it.
  public struct Moved {
    /// Means of squared gradients.
    public enum Squares {
      /// Over the last dimension, and over the one before it.
      case factored(rows: Tensor, columns: Tensor)
      /// Of each number.
      case whole(Tensor)
    }

    /// The parameter, its gradient, its learning rate and decay, and the random numbers that round it.
    public var parameter: MovedParameter
    /// Means of squared gradients.
    public var squares: Squares
    /// The mean of updates, where they are averaged.
    public var mean: Tensor?

    /// A parameter by its parts.
    public init(_ parameter: MovedParameter, squares: Squares, mean: Tensor? = nil) {
      (self.parameter, self.squares, self.mean) = (parameter, squares, mean)
    }

    fileprivate var raw: ct_adafactor_parameter {
      var raw = ct_adafactor_parameter()
      (raw.parameter, raw.gradient) = (parameter.parameter.raw, parameter.gradient.raw)
      switch squares {
      case .factored(let rows, let columns): (raw.rows, raw.columns) = (rows.raw, columns.raw)
      case .whole(let squares): raw.squares = squares.raw
      }
      if let mean { raw.mean = mean.raw }
      (raw.learning_rate, raw.weight_decay, raw.noise) = (parameter.learningRate, parameter.weightDecay, parameter.noise)
      return raw
    }
  }

  /// ε₁.
  public var eps1 = 1e-30
  /// ε₂.
  public var eps2 = 1e-3
  /// The root mean square that an update has at most.
  public var clipThreshold = 1.0
  /// The exponent of t.
  public var decayRate = -0.8
  /// The decay of the mean of updates, where there is one.
  public var beta1 = 0.0
  /// Whether the learning rate is multiplied by the size of the parameter's numbers.
  public var scalesParameter = true
  /// What gradients are multiplied by first.
  public var gradientScale = 1.0
  /// Whether bfloat16 parameters are rounded up or down at random.
  public var roundsAtRandom = false
  /// t, from 1.
  public var step: Int

  /// Step `step` with the defaults of transformers.
  public init(step: Int) { self.step = step }

  /// Moves the parameters.
  public func take(_ moved: [Moved]) throws(TorchError) {
    var settings = ct_adafactor_settings(
      eps1: eps1, eps2: eps2, clip_threshold: clipThreshold, decay_rate: decayRate, beta1: beta1, gradient_scale: gradientScale,
      scales_parameter: scalesParameter, rounds_at_random: roundsAtRandom, step: Int64(step))
    let status = withExtendedLifetime(moved) { ct_adafactor_step(moved.map(\.raw), Int64(moved.count), &settings) }
    guard status == CT_OK else {
      throw TorchError(
        status, operation: "adafactor", operands: moved.flatMap { [$0.parameter.parameter, $0.parameter.gradient] })
    }
  }
}

/// Numbers in 8 bits: codes of a map of 256 values, and one scale for each 256 numbers. Dettmers et al., arXiv:2110.02861.
public enum BlockCodes {
  /// Numbers that share a scale.
  public static let blockSize = 256

  /// The values of the codes, ascending, from −1 or from 0 to 1.
  public static func values(isSigned: Bool) throws(TorchError) -> Tensor {
    try Tensor.make("dynamic_map") { ct_dynamic_map(isSigned, $0) }
  }

  /// The codes of float32 numbers, each that of the nearest value, and the largest magnitude of each block.
  public static func encode(_ numbers: Tensor, isSigned: Bool) throws(TorchError) -> (codes: Tensor, scales: Tensor) {
    var (codes, scales) = (ct_tensor(), ct_tensor())
    try Tensor.run("encode_blocks", numbers) { ct_encode_blocks(numbers.raw, isSigned, &codes, &scales) }
    return (Tensor(owning: codes), Tensor(owning: scales))
  }

  /// The float32 numbers of codes.
  public static func decode(_ codes: Tensor, scales: Tensor, isSigned: Bool) throws(TorchError) -> Tensor {
    try Tensor.make("decode_blocks", codes, scales) { ct_decode_blocks(codes.raw, scales.raw, isSigned, $0) }
  }
}

extension Tensor {
  /// These float32 numbers as bfloat16, each rounded up or down at random so that the mean is exact; `noise` says how.
  public func roundedAtRandom(noise: UInt64) throws(TorchError) -> Tensor {
    try Tensor.make("round_at_random", self) { ct_round_at_random(raw, noise, $0) }
  }

  /// √Σ x² over all elements of `tensors`.
  public static func norm(of tensors: [Tensor]) throws(TorchError) -> Double {
    var norm = 0.0
    let raws = tensors.map(\.raw)
    let status = withExtendedLifetime(tensors) { ct_norm_of_all(raws, Int64(raws.count), &norm) }
    guard status == CT_OK else { throw TorchError(status, operation: "norm", operands: tensors) }
    return norm
  }
}
