import Torch

/// The outputs of projections that take the same input, in one go where they are nothing but products: their weights are read
/// side by side, and their gradients for the input are added up before they are rounded.
///
/// - Parameters:
///   - x: [.., in].
///   - projections: all take x.
/// - Returns: [.., out] for each.
public func project(_ x: Tensor, through projections: any Projection...) throws(TorchError) -> [Tensor] {
  var weights: [LinearWeight] = []
  for projection in projections {
    guard let weight = try projection.linearWeight(for: x.dtype) else { break }
    weights.append(weight)
  }
  if weights.count == projections.count { return try x.linears(weights) }
  var outputs: [Tensor] = []
  for projection in projections { outputs.append(try projection.forward(x)) }
  return outputs
}
