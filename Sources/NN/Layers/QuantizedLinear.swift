import Torch

/// A frozen projection with its weight in few bits.
///
/// Products expand a part of the weight at a time, so that a dense copy of it never exists; a token that is decoded alone reads the
/// bits as they are. Inputs stay as they are and sums are float32; what is lost is the rounding of the weights.
public final class QuantizedLinear: Module, Projection {
  /// W [out, in].
  public let packed: PackedWeight
  /// b [out].
  @Param("bias") public var bias: Tensor?
  /// As the projection stored it that this one was made from.
  public let storesTransposed: Bool
  /// The type of ``denseWeight()``.
  private let dtype: DType

  /// A projection of given numbers.
  ///
  /// - Parameters:
  ///   - packed: W [out, in].
  ///   - bias: b [out].
  ///   - storesTransposed: whether the checkpoint of the dense projection has the weight as [in, out].
  ///   - dtype: what a dense copy of the weight is made in; nil for the type that its numbers are rounded to.
  public init(_ packed: PackedWeight, bias: Tensor?, storesTransposed: Bool = false, dtype: DType? = nil) {
    (self.packed, self.storesTransposed, self.dtype) = (packed, storesTransposed, dtype ?? packed.dtype)
    super.init()
    self.bias = bias
  }

  /// The projection `dense` in 4 or 8 bits.
  ///
  /// - Parameters:
  ///   - dense: the projection; its bias is shared.
  ///   - format: any but the blocks of a file.
  ///   - doubleQuant: whether the scales of 4 bits are put into 8.
  /// - Throws: `TorchError` where its weight is not on the CPU, or holds a number that is not finite.
  public convenience init(_ dense: any Projection, as format: PackedWeight.Format, doubleQuant: Bool = true) throws(TorchError) {
    self.init(
      try PackedWeight(packing: try dense.denseWeight(), as: format, doubleQuant: doubleQuant), bias: dense.denseBias,
      storesTransposed: dense.storesTransposed)
  }

  /// Features that go in.
  public var inputSize: Int { packed.shape.last ?? 0 }
  /// Features that come out.
  public var outputSize: Int { packed.shape.first ?? 0 }
  /// b [out].
  public var denseBias: Tensor? { bias }

  /// Its bits, and b.
  public func linearWeight(for dtype: DType) throws(TorchError) -> LinearWeight? {
    LinearWeight(packed: packed, bias: try bias?.to(dtype))
  }

  /// x·Wᵀ + b.
  public func forward(_ x: Tensor) throws(TorchError) -> Tensor {
    try x.linears([LinearWeight(packed: packed, bias: try bias?.to(x.dtype))])[0]
  }
  /// W [out, in], expanded.
  public func denseWeight() throws(TorchError) -> Tensor { try packed.expanded(as: dtype) }
  /// A dense projection: numbers that somebody changed are not rounded again.
  public func replacing(weight: Tensor, bias: Tensor?) throws(TorchError) -> any Projection {
    guard storesTransposed else { return Linear(weight: weight, bias: bias) }
    return try Conv1D(0, 0).replacing(weight: weight, bias: bias)
  }
}

extension Module {
  /// Puts dense projections of this module into 4 or 8 bits, before adapters are laid over.
  ///
  /// - Parameters:
  ///   - format: any but the blocks of a file.
  ///   - doubleQuant: whether the scales of 4 bits are put into 8.
  ///   - isChosen: says by its path whether a projection is; nil for all.
  /// - Throws: `TorchError` where a weight is not on the CPU, or holds a number that is not finite.
  public final func quantizeProjections(
    as format: PackedWeight.Format, doubleQuant: Bool = true, where isChosen: ((String) -> Bool)? = nil
  ) throws(TorchError) {
    for (path, slot) in projections() where slot.value is Linear || slot.value is Conv1D {
      if let isChosen, !isChosen(path) { continue }
      slot.value = try QuantizedLinear(slot.value, as: format, doubleQuant: doubleQuant)
    }
  }

  /// Expands every quantized projection of this module.
  ///
  /// - Throws: `TorchError` from libtorch.
  public final func expandProjections() throws(TorchError) {
    for (_, slot) in projections() {
      guard let quantized = slot.value as? QuantizedLinear else { continue }
      slot.value = try quantized.replacing(weight: try quantized.denseWeight(), bias: quantized.bias)
    }
  }
}
