import Torch

/// The weighted sum of tensors of one shape, with elements dropped and signs elected as a method says.
///
/// Σ wᵢ·prune(tᵢ), or, where signs are elected, per element Σ wᵢ·tᵢ·[sign tᵢ = elected] / max(1, number of those).
struct TaskArithmetic {
  let method: CombinationMethod
  /// The share of elements that stay, above 0 up to 1.
  let density: Double
  let majoritySign: MajoritySign

  /// The sum. The random numbers of DARE are drawn from libtorch's generator, tensor by tensor.
  func sum(_ tensors: [(tensor: Tensor, weight: Double)]) throws(TorchError) -> Tensor {
    var pruned: [(tensor: Tensor, weight: Double)] = []
    for (tensor, weight) in tensors { pruned.append((try prune(tensor), weight)) }
    return method.electsSigns ? try elected(pruned) : try weighted(pruned)
  }

  private func weighted(_ tensors: [(tensor: Tensor, weight: Double)]) throws(TorchError) -> Tensor {
    guard let first = tensors.first else { throw TorchError(operation: "combine", message: "there is nothing to combine") }
    let sum = try first.tensor * first.weight
    for (tensor, weight) in tensors.dropFirst() { try sum.addInPlace(tensor, scale: weight) }
    return sum
  }

  private func prune(_ tensor: Tensor) throws(TorchError) -> Tensor {
    guard density < 1 else { return tensor }
    switch method.pruning {
    case .none: return tensor
    case .random: return try tensor.dropout(1 - density)
    case .magnitude:
      let kept = Int(density * Double(tensor.count))
      guard kept > 0 else { return try .zeros(tensor.shape, dtype: tensor.dtype) }
      let flat = try tensor.reshaped(-1)
      let places = try flat.abs().top(kept).indices
      let values = try flat.indexed(0, places)
      return try Tensor.zeros([tensor.count], dtype: tensor.dtype).scattered(0, places, values).reshaped(tensor.shape)
    }
  }

  /// The elected sign is found before the weights apply, and is positive where the votes are even.
  private func elected(_ tensors: [(tensor: Tensor, weight: Double)]) throws(TorchError) -> Tensor {
    let votes = try votes(tensors.map(\.tensor))
    let (positive, negative) = (try votes .>= 0, try votes .< 0)
    let sum = try Tensor.zeros(votes.shape)
    let count = try Tensor.zeros(votes.shape)
    for (tensor, weight) in tensors {
      let agrees = try (tensor .> 0).and(positive).or((tensor .< 0).and(negative)).to(.float32)
      try sum.addInPlace(try tensor * agrees, scale: weight)
      try count.addInPlace(agrees)
    }
    return try sum / count.maximum(try .ones([1]))
  }

  private func votes(_ tensors: [Tensor]) throws(TorchError) -> Tensor {
    guard let first = tensors.first else { throw TorchError(operation: "combine", message: "there is nothing to combine") }
    let votes = try Tensor.zeros(first.shape)
    for tensor in tensors {
      switch majoritySign {
      case .total: try votes.addInPlace(tensor)
      case .frequency:
        try votes.addInPlace(try (tensor .> 0).to(.float32))
        try votes.addInPlace(try (tensor .< 0).to(.float32), scale: -1)
      }
    }
    return votes
  }
}
