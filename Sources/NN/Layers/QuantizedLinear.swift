import Torch

/// A frozen projection with its weight in 8 bits: numbers with a scale for each 32 neighbours of a row.
///
/// A token then takes a little over half the reading of bfloat16. Inputs stay as they are and sums are float32; what is lost is
/// the rounding of the weights, at most half a scale each. Passes of many rows expand the weight for their product.
public final class QuantizedLinear: Module, Projection {
  private let numbers: Tensor
  private let scales: Tensor
  private let dtype: DType
  /// b [out].
  public let denseBias: Tensor?
  /// As the projection stored it that this one was made from.
  public let storesTransposed: Bool

  /// The projection `dense` in 8 bits.
  ///
  /// - Throws: `TorchError` where its weight is not on the CPU.
  public init(_ dense: any Projection) throws(TorchError) {
    let weight = try dense.denseWeight()
    (numbers, scales) = try weight.quantized()
    (dtype, denseBias, storesTransposed) = (weight.dtype, dense.denseBias, dense.storesTransposed)
    super.init()
  }

  /// Features that go in.
  public var inputSize: Int { numbers.shape.last ?? 0 }
  /// Features that come out.
  public var outputSize: Int { numbers.shape.first ?? 0 }

  /// Its 8-bit numbers, and b.
  public func linearWeight(for dtype: DType) throws(TorchError) -> LinearWeight? {
    LinearWeight(numbers, scales: scales, bias: try denseBias?.to(dtype))
  }

  /// x·Wᵀ + b.
  public func forward(_ x: Tensor) throws(TorchError) -> Tensor {
    try x.linears([LinearWeight(numbers, scales: scales, bias: try denseBias?.to(x.dtype))])[0]
  }
  /// W [out, in] in the type it had.
  public func denseWeight() throws(TorchError) -> Tensor { try numbers.expanded(scales: scales, as: dtype) }
  /// A dense projection: numbers that somebody changed are not rounded again.
  public func replacing(weight: Tensor, bias: Tensor?) throws(TorchError) -> any Projection {
    Linear(weight: weight, bias: bias)
  }
}

extension Module {
  /// Puts every dense projection of this module into 8 bits. For models that only generate, before adapters are laid over.
  ///
  /// - Throws: `TorchError` where a weight is not on the CPU.
  public final func quantizeProjections() throws(TorchError) {
    for (_, slot) in projections() where slot.value is Linear || slot.value is Conv1D {
      slot.value = try QuantizedLinear(slot.value)
    }
  }
}
