import Torch

/// Adam with decoupled weight decay. Loshchilov & Hutter, arXiv:1711.05101.
public final class AdamW {
  /// The settings; the defaults are torch's and transformers'.
  public struct Settings: Sendable, Hashable {
    /// Decay of the mean of gradients.
    public var beta1 = 0.9
    /// Decay of the mean of squared gradients.
    public var beta2 = 0.999
    /// Added to the root of the second mean.
    public var eps = 1e-8
    /// Share of a weight taken off each step, times the learning rate.
    public var weightDecay = 0.0

    /// Settings by name.
    public init(beta1: Double = 0.9, beta2: Double = 0.999, eps: Double = 1e-8, weightDecay: Double = 0) {
      self.beta1 = beta1
      self.beta2 = beta2
      self.eps = eps
      self.weightDecay = weightDecay
    }
  }

  /// One tuned parameter with its means.
  private struct Entry {
    let path: String
    let parameter: Tensor
    let first: Tensor
    let second: Tensor
    let rateScale: Double
  }

  private let settings: Settings
  private let entries: [Entry]
  /// Steps taken.
  public private(set) var step = 0

  /// An optimizer of `parameters`, whose means start at 0.
  ///
  /// - Parameters:
  ///   - parameters: what is tuned, by path.
  ///   - settings: the means and the decay.
  ///   - rateScale: what the learning rate is multiplied by for the parameter at a path.
  /// - Throws: `TorchError` where a parameter is not float32, in which small steps would be lost.
  public init(
    _ parameters: [(path: String, value: Tensor)], settings: Settings = Settings(), rateScale: (String) -> Double = { _ in 1 }
  ) throws(TorchError) {
    self.settings = settings
    var entries: [Entry] = []
    for (path, value) in parameters {
      guard value.dtype == .float32 else {
        throw TorchError(operation: "adamw", operands: [value], message: "“\(path)” must be float32 to be tuned")
      }
      entries.append(
        Entry(
          path: path, parameter: value, first: try .zeros(value.shape, device: value.device),
          second: try .zeros(value.shape, device: value.device), rateScale: rateScale(path)))
    }
    self.entries = entries
  }

  /// The tuned parameters in order.
  public var parameters: [(path: String, value: Tensor)] { entries.map { ($0.path, $0.parameter) } }

  /// Moves each parameter that has a gradient; the others stay, means and all, while steps are counted for all alike.
  ///
  /// - Parameters:
  ///   - learningRate: how far.
  ///   - gradientScale: what gradients are multiplied by first: ``clippingScale(norm:limit:)``.
  public func update(learningRate: Double, gradientScale: Double = 1) throws(TorchError) {
    step += 1
    var moved: [AdamWStep.Entry] = []
    for entry in entries {
      guard let gradient = try entry.parameter.gradient() else { continue }
      moved.append((entry.parameter, gradient, entry.first, entry.second, learningRate * entry.rateScale))
    }
    let next = AdamWStep(
      beta1: settings.beta1, beta2: settings.beta2, eps: settings.eps, weightDecay: settings.weightDecay,
      gradientScale: gradientScale, step: step)
    try next.take(moved)
  }

  /// Forgets all gradients.
  public func clearGradients() throws(TorchError) {
    for entry in entries { try entry.parameter.setGradient(nil) }
  }

  /// √Σ‖g‖² over all gradients.
  public func gradientNorm() throws(TorchError) -> Double {
    var gradients: [Tensor] = []
    for entry in entries {
      if let gradient = try entry.parameter.gradient() { gradients.append(gradient) }
    }
    return try Tensor.norm(of: gradients)
  }

  /// What brings gradients of this norm to `limit`, as torch does it: limit/(norm + 1e-6), at most 1.
  public static func clippingScale(norm: Double, limit: Double?) -> Double {
    guard let limit, norm.isFinite else { return 1 }
    return min(1, limit / (norm + 1e-6))
  }

  /// The first parameter, in order, whose gradient is not finite.
  public func firstNonFiniteGradient() throws(TorchError) -> String? {
    for entry in entries {
      if let gradient = try entry.parameter.gradient(), try !gradient.isFinite().all() { return entry.path }
    }
    return nil
  }

  /// The means, for a checkpoint: `PATH.exp_avg` and `PATH.exp_avg_sq`.
  public var state: [(name: String, value: Tensor)] {
    entries.flatMap { [($0.path + ".exp_avg", $0.first), ($0.path + ".exp_avg_sq", $0.second)] }
  }

  /// Continues from a checkpoint.
  ///
  /// - Throws: `TorchError` where a mean is missing or has another shape; nothing has changed then.
  public func restore(step: Int, state: (String) throws(TorchError) -> Tensor) throws(TorchError) {
    var loaded: [Tensor] = []
    for (name, value) in self.state {
      let saved = try state(name)
      guard saved.shape == value.shape else {
        throw TorchError(
          operation: "restore", operands: [saved, value], message: "“\(name)” has another shape in the checkpoint")
      }
      loaded.append(saved)
    }
    for ((_, value), saved) in zip(self.state, loaded) { try value.copyInPlace(saved) }
    self.step = step
  }
}
