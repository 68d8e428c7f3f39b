import Torch
import Tuners

/// AdamW whose means live in a subspace of each matrix's gradient, found anew every so often. Zhao et al., arXiv:2403.03507.
///
/// The steps are those of the paper's package galore-torch. What is no matrix, or in no target module, is moved by AdamW whole.
public struct GaLore: OptimizerMethod, Hashable {
  /// Which side of a gradient is projected.
  public enum Projection: String, Sendable, Hashable, CaseIterable {
    /// The longer dimension stays.
    case standard = "std"
    /// The shorter dimension stays.
    case reverse = "reverse_std"
    /// The first dimension stays.
    case right
    /// The second dimension stays.
    case left
    /// None stays.
    case full
  }

  /// Dimensions of the subspace.
  public var rank = 128
  /// Steps between searches for it.
  public var updateGap = 200
  /// What updates are multiplied by.
  public var scale = 0.25
  /// Which side is projected.
  public var projection = Projection.standard
  /// Parts of the paths of the matrices that are projected.
  public var targetModules = ["attn", "mlp"]
  /// Decay of the mean of gradients.
  public var beta1 = 0.9
  /// Decay of the mean of squared gradients.
  public var beta2 = 0.999
  /// Added to the root of the second mean, before the means are corrected for their beginning.
  public var eps = 1e-8
  /// Share of a weight taken off after each step, times the learning rate.
  public var weightDecay = 0.0

  /// The defaults of transformers.
  public init() {}

  /// The defaults after `change`.
  public init(_ change: (inout GaLore) -> Void) { change(&self) }

  /// `galore_adamw`.
  public static var name: String { "galore_adamw" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [
      .int("rank", \.rank, in: 1...65536), .int("update_proj_gap", \.updateGap, in: 1...1 << 40),
      .double("scale", \.scale, in: 0...1e6), .choice("proj_type", \.projection),
      .strings("optim_target_modules", \.targetModules), .double("weight_decay", \.weightDecay, in: 0...10),
      .double("beta1", \.beta1, in: 0...0.99999), .double("beta2", \.beta2, in: 0...0.999999),
      .double("eps", \.eps, in: 1e-20...1),
    ]
  }

  /// Means of the projected gradient and what projects it; both means whole of what is not projected.
  public func memory(of path: String, shape: [Int]) -> [OptimizerMemory] {
    guard let sides = sides(of: path, shape: shape) else {
      return [OptimizerMemory("exp_avg", shape), OptimizerMemory("exp_avg_sq", shape)]
    }
    let rank = min(rank, shape[0], shape[1])
    let low = [sides.left ? rank : shape[0], sides.right ? rank : shape[1]]
    return [OptimizerMemory("exp_avg", low), OptimizerMemory("exp_avg_sq", low)]
      + (sides.left ? [OptimizerMemory("projector_left", [shape[0], rank])] : [])
      + (sides.right ? [OptimizerMemory("projector_right", [rank, shape[1]])] : [])
  }

  /// Moves parameters: those that are not projected all at once, the others one after the other.
  public func step(_ moves: [OptimizerMove], _ context: OptimizerContext) throws(TorchError) {
    // The package adds eps to √v as it is, and takes the decay off what the step has made.
    let root = (1 - power(beta2, context.step)).squareRoot()
    let adam = OptimizerStep.Rule.adamW(beta1: beta1, beta2: beta2, eps: eps / root)
    var whole: [MovedParameter] = []
    for move in moves {
      guard let sides = sides(of: move.path, shape: move.parameter.shape) else {
        var moved = move.moved(.numbers(move.memory[0]), .numbers(move.memory[1]))
        decayLast(&moved)
        whole.append(moved)
        continue
      }
      let projection = Projector(sides: sides, memory: Array(move.memory.dropFirst(2)))
      let gradient = try move.gradient.to(.float32)
      if (context.step - 1) % updateGap == 0 { try projection.find(in: gradient) }
      let low = try projection.project(gradient)
      let way = try Tensor.zeros(low.shape, device: low.device)
      try context.step(adam).take([
        MovedParameter(way, gradient: low, first: .numbers(move.memory[0]), second: .numbers(move.memory[1]), learningRate: 1)
      ])
      try way.scaleInPlace(-scale)
      var moved = move.moved()
      moved.gradient = try projection.unproject(way)
      decayLast(&moved)
      var step = context.step(.move)
      step.gradientScale = 1  // it is in the means already
      try step.take([moved])
    }
    try context.step(adam).take(whole)
  }

  /// p·(1 − lr·λ) − lr·(1 − lr·λ)·u, which is (p − lr·u)·(1 − lr·λ).
  private func decayLast(_ moved: inout MovedParameter) {
    let kept = 1 - moved.learningRate * moved.weightDecay
    guard kept != 0 else { return }
    moved.learningRate *= kept
    moved.weightDecay /= kept
  }

  private func power(_ base: Double, _ exponent: Int) -> Double {
    var (result, factor, rest) = (1.0, base, exponent)
    while rest > 0 {
      if rest & 1 == 1 { result *= factor }
      factor *= factor
      rest >>= 1
    }
    return result
  }

  /// Which sides of a parameter's gradient are projected; nil for none.
  private func sides(of path: String, shape: [Int]) -> (left: Bool, right: Bool)? {
    guard shape.count == 2, shape.allSatisfy({ $0 > 0 }), targetModules.contains(where: path.contains) else { return nil }
    let tall = shape[0] >= shape[1]
    return switch projection {
    case .standard: (!tall, tall)
    case .reverse: (tall, !tall)
    case .right: (false, true)
    case .left: (true, false)
    case .full: (true, true)
    }
  }
}

/// A subspace of the gradients of one matrix [m, n].
private struct Projector {
  /// [m, r], orthogonal columns.
  let left: Tensor?
  /// [r, n], orthogonal rows.
  let right: Tensor?

  init(sides: (left: Bool, right: Bool), memory: [Tensor]) {
    left = sides.left ? memory.first : nil
    right = sides.right ? memory.last : nil
  }

  /// The singular vectors of the largest singular values.
  func find(in gradient: Tensor) throws(TorchError) {
    let (u, _, vh) = try gradient.singularValues()
    if let left { try left.copyInPlace(try u.narrowed(1, 0..<left.size(1))) }
    if let right { try right.copyInPlace(try vh.narrowed(0, 0..<right.size(0))) }
  }

  func project(_ gradient: Tensor) throws(TorchError) -> Tensor {
    var low = gradient
    if let left { low = try left.transposed().matmul(low) }
    if let right { low = try low.matmul(try right.transposed()) }
    return low
  }

  func unproject(_ low: Tensor) throws(TorchError) -> Tensor {
    var whole = low
    if let left { whole = try left.matmul(whole) }
    if let right { whole = try whole.matmul(right) }
    return whole
  }
}
