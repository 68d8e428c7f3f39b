import Torch

/// The outputs of projections that take the same input, in one go where that is faster: a few rows through plain weights are
/// bound by reading these, and one call for all of them leaves no gaps.
///
/// - Parameter x: [.., in].
/// - Returns: [.., out] for each.
public func project(_ x: Tensor, through projections: any Projection...) throws(TorchError) -> [Tensor] {
  if x.count <= fewRows * (x.shape.last ?? 0) {
    var weights: [LinearWeight] = []
    for projection in projections {
      guard let weight = try plainWeight(of: projection, for: x.dtype) else { break }
      weights.append(weight)
    }
    if weights.count == projections.count { return try x.linears(weights) }
  }
  var outputs: [Tensor] = []
  for projection in projections { outputs.append(try projection.forward(x)) }
  return outputs
}

/// Rows up to which one call for several weights is worth making.
private let fewRows = 64

/// The numbers of a projection that is nothing but a product; nil for any other, such as one with adapters.
private func plainWeight(of projection: any Projection, for dtype: DType) throws(TorchError) -> LinearWeight? {
  switch projection {
  case let linear as Linear: LinearWeight(try linear.weight.to(dtype), bias: try linear.bias?.to(dtype))
  case let quantized as QuantizedLinear: try quantized.linearWeight(for: dtype)
  default: nil
  }
}
