import Torch

/// A linear map from the last dimension of its input: y = x·Wᵀ + b, W [out, in].
///
/// It computes in the element type of its input: a parameter that is trained in float32 is converted for the product.
/// Adapters wrap one, quantization replaces one, and neither changes the model around it.
public protocol Projection: Module {
  /// Features that go in.
  var inputSize: Int { get }
  /// Features that come out.
  var outputSize: Int { get }
  /// True where the checkpoint keeps the weight as [in, out] (PEFT's `fan_in_fan_out`).
  var storesTransposed: Bool { get }
  /// x [.., in] → [.., out].
  func forward(_ x: Tensor) throws(TorchError) -> Tensor
  /// What this is in numbers of the element type, where it is nothing but a product; nil for any other.
  func linearWeight(for dtype: DType) throws(TorchError) -> LinearWeight?
  /// W [out, in], unpacked where it is stored otherwise.
  func denseWeight() throws(TorchError) -> Tensor
  /// b [out].
  var denseBias: Tensor? { get }
  /// A projection of the same kind with other numbers. weight [out, in].
  func replacing(weight: Tensor, bias: Tensor?) throws(TorchError) -> any Projection
  /// Says that what was computed with the weight needs it no longer, so that pages of a file that it lies over may go.
  func releaseWeight()
}

extension Projection {
  /// Does nothing.
  public func releaseWeight() {}

  /// Nil.
  public func linearWeight(for dtype: DType) throws(TorchError) -> LinearWeight? { nil }

  /// What this is with a low-rank update added to it; nil where it is more than a product, or has one already.
  public func linearWeight(for dtype: DType, plus update: LowRankUpdate) throws(TorchError) -> LinearWeight? {
    guard var weight = try linearWeight(for: dtype), weight.update == nil else { return nil }
    weight.update = update
    return weight
  }

  /// The projection's output plus s·B·A·dropout(x): one operation, or two with the low-rank part in x's own element type.
  public func forward(_ x: Tensor, plus update: LowRankUpdate) throws(TorchError) -> Tensor {
    if let weight = try linearWeight(for: x.dtype, plus: update) { return try x.linears([weight])[0] }
    let low = try x.dropout(update.dropout).linear(try update.a.to(x.dtype)) * update.scale
    let change = try low.linear(try update.b.to(x.dtype))
    return try forward(x) + change
  }
}

/// A weight and bias for a product in `dtype`; those in float32, which may be trained, are rounded by the product itself.
private func numbers(
  _ weight: Tensor, _ bias: Tensor?, for dtype: DType, transposed: Bool = false
) throws(TorchError) -> LinearWeight {
  func taken(_ tensor: Tensor) throws(TorchError) -> Tensor { tensor.dtype == .float32 ? tensor : try tensor.to(dtype) }
  var offset: Tensor?
  if let bias { offset = try taken(bias) }
  return LinearWeight(try taken(weight), bias: offset, isTransposed: transposed)
}

/// A dense projection with its weight as [out, in].
public final class Linear: Module, Projection {
  /// W [out, in].
  @Param("weight") public var weight: Tensor
  /// b [out].
  @Param("bias") public var bias: Tensor?
  /// Gives the pages of a file that the weight lies over back to the system; nil where it lies in memory.
  public var pages: (() -> Void)?

  /// A projection whose numbers are yet to be loaded.
  public init(_ inputSize: Int, _ outputSize: Int, bias: Bool) throws(TorchError) {
    super.init()
    weight = try .empty([outputSize, inputSize])
    self.bias = bias ? try .empty([outputSize]) : nil
  }

  /// A projection of given numbers. weight [out, in]; bias [out].
  public init(weight: Tensor, bias: Tensor?) {
    super.init()
    self.weight = weight
    self.bias = bias
  }

  /// Features that go in.
  public var inputSize: Int { weight.shape.last ?? 0 }
  /// Features that come out.
  public var outputSize: Int { weight.shape.first ?? 0 }
  /// False.
  public var storesTransposed: Bool { false }
  /// b [out].
  public var denseBias: Tensor? { bias }

  /// x·Wᵀ + b.
  public func forward(_ x: Tensor) throws(TorchError) -> Tensor {
    defer { releaseWeight() }
    return try x.linears([try numbers(weight, bias, for: x.dtype)])[0]
  }
  /// W and b.
  public func linearWeight(for dtype: DType) throws(TorchError) -> LinearWeight? {
    defer { if weight.dtype != dtype { releaseWeight() } }
    return try numbers(weight, bias, for: dtype)
  }
  /// Gives its pages back.
  public func releaseWeight() { pages?() }
  /// W.
  public func denseWeight() throws(TorchError) -> Tensor { weight }
  /// The same with other numbers.
  public func replacing(weight: Tensor, bias: Tensor?) throws(TorchError) -> any Projection {
    Linear(weight: weight, bias: bias)
  }
}

/// GPT-2's projection, which keeps its weight as [in, out].
public final class Conv1D: Module, Projection {
  /// Wᵀ [in, out].
  @Param("weight") public var weight: Tensor
  /// b [out].
  @Param("bias") public var bias: Tensor?
  /// Gives the pages of a file that the weight lies over back to the system; nil where it lies in memory.
  public var pages: (() -> Void)?

  /// A projection whose numbers are yet to be loaded.
  public init(_ inputSize: Int, _ outputSize: Int) throws(TorchError) {
    super.init()
    weight = try .empty([inputSize, outputSize])
    bias = try .empty([outputSize])
  }

  private init(stored weight: Tensor, bias: Tensor?) {
    super.init()
    self.weight = weight
    self.bias = bias
  }

  /// Features that go in.
  public var inputSize: Int { weight.shape.first ?? 0 }
  /// Features that come out.
  public var outputSize: Int { weight.shape.last ?? 0 }
  /// True.
  public var storesTransposed: Bool { true }
  /// b [out].
  public var denseBias: Tensor? { bias }

  /// x·W + b.
  public func forward(_ x: Tensor) throws(TorchError) -> Tensor {
    defer { releaseWeight() }
    return try x.linears([try numbers(weight, bias, for: x.dtype, transposed: true)])[0]
  }
  /// W and b.
  public func linearWeight(for dtype: DType) throws(TorchError) -> LinearWeight? {
    defer { if weight.dtype != dtype { releaseWeight() } }
    return try numbers(weight, bias, for: dtype, transposed: true)
  }
  /// Gives its pages back.
  public func releaseWeight() { pages?() }
  /// W [out, in].
  public func denseWeight() throws(TorchError) -> Tensor { try weight.transposed() }
  /// The same with other numbers.
  public func replacing(weight: Tensor, bias: Tensor?) throws(TorchError) -> any Projection {
    let stored = try weight.transposed()
    return Conv1D(stored: try stored.contiguous(), bias: bias)
  }
}
