import CTorch

/// libtorch's default generators: what dropout and initialisation draw from.
public enum RandomState {
  /// Starts every device's generator anew.
  public static func seed(_ seed: UInt64) throws(TorchError) {
    try Tensor.run("manual_seed") { ct_manual_seed(seed) }
  }

  /// The state of a device's generator, for a checkpoint.
  public static func capture(_ device: Device = .cpu) throws(TorchError) -> Tensor {
    try Tensor.make("get_rng_state") { ct_random_state(device.raw, $0) }
  }

  /// Continues where `state` was captured.
  public static func restore(_ state: Tensor, on device: Device = .cpu) throws(TorchError) {
    try Tensor.run("set_rng_state", state) { ct_set_random_state(device.raw, state.raw) }
  }
}

extension Tensor {
  /// Overwrites the elements with draws from a normal distribution.
  public func normalInPlace(mean: Double = 0, standardDeviation: Double = 1) throws(TorchError) {
    try Tensor.run("normal_", self) { ct_normal_into(raw, mean, standardDeviation) }
  }

  /// Overwrites the elements with draws from low ..< high.
  public func uniformInPlace(_ low: Double, _ high: Double) throws(TorchError) {
    try Tensor.run("uniform_", self) { ct_uniform_into(raw, low, high) }
  }
}
