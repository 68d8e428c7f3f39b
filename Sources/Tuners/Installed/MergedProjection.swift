import NN
import Torch

/// A projection with deltas folded into its weight, which is made anew for each use: so a model is merged, measured and written with one
/// dense weight in memory at a time.
///
/// Sums are float32 and then rounded to the element type that the weight is written in; products are with the rounded numbers.
public final class MergedProjection: Module, Projection {
  private let base: any Projection
  private let deltas: [ActiveDelta]
  private let dtype: DType
  /// b [out].
  public let denseBias: Tensor?

  /// `base` with deltas, in numbers of an element type.
  init(_ base: any Projection, _ deltas: [ActiveDelta], as dtype: DType) throws(TorchError) {
    (self.base, self.deltas, self.dtype) = (base, deltas, dtype)
    // What a delta makes of the bias is small and kept; without deltas the weight need not be made for it.
    denseBias = try deltas.isEmpty ? base.denseBias?.to(dtype) : Self.merged(base, deltas, as: dtype).denseBias
  }

  /// Features that go in.
  public var inputSize: Int { base.inputSize }
  /// Features that come out.
  public var outputSize: Int { base.outputSize }
  /// As the base stores its weight.
  public var storesTransposed: Bool { base.storesTransposed }

  /// A dense projection of the same numbers.
  public func merged() throws(TorchError) -> any Projection { try Self.merged(base, deltas, as: dtype) }

  private static func merged(
    _ base: any Projection, _ deltas: [ActiveDelta], as dtype: DType
  ) throws(TorchError) -> any Projection {
    var result = try base.replacing(weight: try base.denseWeight().to(.float32), bias: try base.denseBias?.to(.float32))
    for delta in deltas { result = try delta.merged(into: result) }
    defer { base.releaseWeight() }
    return try result.replacing(
      weight: try result.denseWeight().detached().to(dtype), bias: try result.denseBias?.detached().to(dtype))
  }

  /// x·Wᵀ + b.
  public func forward(_ x: Tensor) throws(TorchError) -> Tensor { try merged().forward(x) }
  /// W and b.
  public func linearWeight(for dtype: DType) throws(TorchError) -> LinearWeight? { try merged().linearWeight(for: dtype) }
  /// W [out, in].
  public func denseWeight() throws(TorchError) -> Tensor { try merged().denseWeight() }
  /// A dense projection like the base.
  public func replacing(weight: Tensor, bias: Tensor?) throws(TorchError) -> any Projection {
    try base.replacing(weight: weight, bias: bias)
  }
}
