import NN
import Torch

/// What LoHa and LoKr share: a delta of the weight that is composed of small matrices, and dropout of its rows or of all of it.
protocol ComposedDelta: AdapterDelta {
  /// ΔW [out, in] in float32, scaled.
  func weightDelta() throws(TorchError) -> Tensor
  /// x·ΔWᵀ, in the element type of x.
  func change(_ x: Tensor) throws(TorchError) -> Tensor
  /// Dropout in training.
  var drops: ComposedDropout { get }
}

/// Dropout of the rows of ΔW, and of ΔW as a whole. LyCORIS has both.
struct ComposedDropout: Hashable {
  /// Share of rows left out, 0 ..< 1.
  var rows = 0.0
  /// How often a whole delta is left out, 0 ..< 1.
  var modules = 0.0
  /// Whether the rows that are left are scaled up for those that are not.
  var scalesRows = true
}

extension ComposedDelta {
  /// Whether something may be left out of the next pass.
  var isDropping: Bool { isTraining && (drops.modules > 0 || drops.rows > 0) }

  /// The base's output plus x·ΔWᵀ.
  func forward(_ x: Tensor, through base: any Projection) throws(TorchError) -> Tensor {
    if let update = try fusedUpdate() { return try base.forward(x, plus: update) }
    let y = try base.forward(x)
    guard isTraining else { return try y + change(x) }
    if drops.modules > 0, try uniform([1]).item() <= drops.modules { return y }
    let change = try change(x)
    guard drops.rows > 0 else { return try y + change }
    var kept = try (uniform([y.shape.last ?? 0]).to(y.device) .> drops.rows).to(.float32)
    if drops.scalesRows { kept = try kept / kept.mean().clamp(1e-6, 1) }
    return try y + (change * kept).to(y.dtype)
  }

  private func uniform(_ shape: [Int]) throws(TorchError) -> Tensor {
    let numbers = try Tensor.empty(shape)
    try numbers.uniformInPlace(0, 1)
    return numbers
  }

  /// W + ΔW, the sum in float32.
  func merged(into base: any Projection) throws(TorchError) -> any Projection { try base.adding(try weightDelta()) }
}

extension Projection {
  /// A projection of the same kind whose weight is this one's plus `delta` [out, in] float32, the sum in float32.
  func adding(_ delta: Tensor) throws(TorchError) -> any Projection {
    let weight = try denseWeight()
    let sum = try weight.to(.float32) + delta.to(weight.device)
    return try replacing(weight: try sum.detached().to(weight.dtype), bias: try denseBias?.detached().to(weight.dtype))
  }
}

extension Tensor {
  /// U(−1/√k, 1/√k), k the last dimension, as torch fills a linear layer.
  static func kaimingUniform(_ shape: [Int], device: Device) throws(TorchError) -> Tensor {
    let made = try Tensor.empty(shape, device: device)
    let bound = 1 / Double(shape.last ?? 1).squareRoot()
    try made.uniformInPlace(-bound, bound)
    return made
  }
}
