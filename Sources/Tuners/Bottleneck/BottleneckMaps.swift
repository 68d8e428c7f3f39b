import NN
import Torch

/// One of the two maps of a bottleneck: x [.., in] → [.., out]. What it is made of stands in a subclass.
class BottleneckMap: Module {
  func forward(_ x: Tensor) throws(TorchError) -> Tensor { x }
  /// Its own numbers by their names, and whether they are learnt.
  var owned: [(name: String, value: Tensor, learns: Bool)] { parameters().map { ($0.path, $0.value, true) } }
}

/// x·Wᵀ + b.
final class DenseMap: BottleneckMap {
  /// W [out, in].
  @Param("weight") private var weight: Tensor
  /// b [out].
  @Param("bias") private var bias: Tensor

  /// A map that begins as `start` says.
  init(_ inputs: Int, _ outputs: Int, start: BottleneckConfiguration.Start, isUp: Bool, device: Device) throws(TorchError) {
    super.init()
    weight = try .zeros([outputs, inputs], device: device)
    bias = try .zeros([outputs], device: device)
    switch start {
    case .normal: try weight.normalInPlace(standardDeviation: 0.02)
    case .truncated:
      try weight.normalInPlace(standardDeviation: 0.01)
      weight = try weight.clamp(-0.02, 0.02)
    case .zeroUp:
      let bound = 1 / Double(inputs).squareRoot()
      if !isUp { try weight.uniformInPlace(-bound, bound) }
    }
  }

  override func forward(_ x: Tensor) throws(TorchError) -> Tensor { try x.linear(weight, bias) }
}

/// The rules R [n, n, n] that say how a map is made of smaller ones, or two thin parts of them.
struct HypercomplexRules {
  let parts: [Tensor]

  /// Rules that begin as the settings say.
  ///
  /// - Parameter range: the bound of uniform numbers, and the deviation of normal ones.
  init(_ settings: HypercomplexSettings, uniform: Double, normal: Double, device: Device) throws(TorchError) {
    let n = settings.dimension
    parts = try (settings.factorsRules ? [[n, n, 1], [n, 1, n]] : [[n, n, n]]).map { (shape) throws(TorchError) in
      let part = try Tensor.zeros(shape, device: device)
      if settings.startsUniform {
        try part.uniformInPlace(-uniform, uniform)
      } else {
        try part.normalInPlace(standardDeviation: normal)
      }
      return part
    }
  }

  /// Their names in files.
  var named: [(name: String, value: Tensor)] {
    Array(zip(parts.count == 1 ? ["phm_rule"] : ["phm_rule_left", "phm_rule_right"], parts))
  }
}

/// x·W + b with W = Σᵢ Rᵢ ⊗ Wᵢ [in, out].
final class HypercomplexMap: BottleneckMap {
  /// R [n, n, n].
  @Param("phm_rule") private var rule: Tensor?
  /// [n, n, 1], in the place of R.
  @Param("phm_rule_left") private var leftRule: Tensor?
  /// [n, 1, n], in the place of R.
  @Param("phm_rule_right") private var rightRule: Tensor?
  /// [n, in / n, out / n].
  @Param("W") private var weight: Tensor?
  /// [n, in / n, rank], in the place of W.
  @Param("W_left") private var left: Tensor?
  /// [n, rank, out / n], in the place of W.
  @Param("W_right") private var right: Tensor?
  /// b [out].
  @Param("b") private var bias: Tensor?
  private let settings: HypercomplexSettings

  /// A map whose small matrices begin as N(0, 2/(rows + columns)), as AdapterHub's do.
  ///
  /// - Parameter rules: those that all maps share; nil for rules of its own.
  /// - Throws: ``TunerError`` where n does not divide the features.
  init(
    _ inputs: Int, _ outputs: Int, _ settings: HypercomplexSettings, rules: HypercomplexRules?, device: Device
  ) throws {
    self.settings = settings
    super.init()
    let n = settings.dimension
    for size in [inputs, outputs] where !size.isMultiple(of: n) {
      throw TunerError(
        "phm_dim is \(n), which does not divide the \(inputs) and \(outputs) features of a bottleneck's maps: change phm_dim, or "
          + "reduction_factor")
    }
    let rules = try rules ?? HypercomplexRules(settings, uniform: 0.01, normal: 0.01, device: device)
    if rules.parts.count == 1 {
      rule = rules.parts[0]
    } else {
      (leftRule, rightRule) = (rules.parts[0], rules.parts[1])
    }
    let (rows, columns) = (inputs / n, outputs / n)
    if settings.factorsWeights {
      left = try Self.filled([n, rows, settings.rank], device)
      right = try Self.filled([n, settings.rank, columns], device)
    } else {
      weight = try Self.filled([n, rows, columns], device)
    }
    bias = settings.hasBias ? try .zeros([outputs], device: device) : nil
  }

  private static func filled(_ shape: [Int], _ device: Device) throws(TorchError) -> Tensor {
    let matrices = try Tensor.empty(shape, device: device)
    try matrices.normalInPlace(standardDeviation: (2 / Double(shape[1] + shape[2])).squareRoot())
    return matrices
  }

  private static func product(_ whole: Tensor?, _ left: Tensor?, _ right: Tensor?) throws(TorchError) -> Tensor? {
    if let left, let right { return try left.matmul(right) }
    return whole
  }

  override func forward(_ x: Tensor) throws(TorchError) -> Tensor {
    guard let rules = try Self.product(rule, leftRule, rightRule), let small = try Self.product(weight, left, right) else {
      throw TorchError(operation: "hypercomplex_map", operands: [x], message: "a map without rules or without weights")
    }
    let (n, rows, columns) = (settings.dimension, try small.size(1), try small.size(2))
    // Σᵢ Rᵢ[a, b]·Wᵢ[p, q] is one product over i.
    let sums = try rules.reshaped(n, n * n).transposed().matmul(try small.reshaped(n, rows * columns))
    let whole = try sums.reshaped(n, n, rows, columns).permuted(0, 2, 1, 3).reshaped(n * rows, n * columns)
    return try x.linear(try whole.transposed().contiguous(), bias)
  }

  override var owned: [(name: String, value: Tensor, learns: Bool)] {
    parameters().compactMap { path, _, value in
      guard path.hasPrefix("phm_rule") else { return (path, value, true) }
      return settings.sharesRules ? nil : (path, value, settings.learnsRules)
    }
  }
}
