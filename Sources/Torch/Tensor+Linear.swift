import CTorch

/// A change of a weight that is a product of two small factors: s·B·A, on inputs some of which are dropped.
/// Hu et al., arXiv:2106.09685.
public struct LowRankUpdate {
  /// A [r, in], float32.
  public var a: Tensor
  /// B [out, r], float32.
  public var b: Tensor
  /// s.
  public var scale: Double
  /// Share of inputs dropped before A, 0 ..< 1; its key is from libtorch's default generator.
  public var dropout: Double

  /// An update by its parts.
  public init(a: Tensor, b: Tensor, scale: Double, dropout: Double) {
    (self.a, self.b, self.scale, self.dropout) = (a, b, scale, dropout)
  }
}

/// A linear layer's numbers: W in floating point or packed; its bias; and a low-rank update of the weight.
public struct LinearWeight {
  /// W [out, in] in floating point, or [in, out] where it is stored transposed; the numbers of ``packed`` where there is one.
  public var weight: Tensor
  /// W in few bits.
  public var packed: PackedWeight?
  /// b [out].
  public var bias: Tensor?
  /// Whether `weight` is [in, out].
  public var isTransposed: Bool
  /// What is added to the weight.
  public var update: LowRankUpdate?

  /// The parts by name.
  public init(
    _ weight: Tensor, bias: Tensor? = nil, isTransposed: Bool = false, update: LowRankUpdate? = nil
  ) {
    (self.weight, self.bias, self.isTransposed, self.update) = (weight, bias, isTransposed, update)
  }

  /// A packed weight with its bias.
  public init(packed: PackedWeight, bias: Tensor? = nil) {
    (weight, self.packed, self.bias, isTransposed) = (packed.numbers, packed, bias, false)
  }

  fileprivate var operands: [Tensor] {
    (packed?.operands ?? [weight]) + [bias, update?.a, update?.b].compactMap(\.self)
  }

  fileprivate func raw(packed: UnsafePointer<ct_packed_weight>) -> ct_linear_weight {
    ct_linear_weight(
      weight: weight.raw, bias: bias?.raw ?? ct_tensor(), a: update?.a.raw ?? ct_tensor(), b: update?.b.raw ?? ct_tensor(),
      packed: self.packed == nil ? nil : packed, scale: update?.scale ?? 0, dropout: update?.dropout ?? 0,
      transposed: isTransposed)
  }
}

extension Tensor {
  /// x·Wᵀ + bias. x [.., in]; bias [out].
  ///
  /// - Parameters:
  ///   - weight: W [out, in], or Wᵀ [in, out] where `transposed`.
  ///   - bias: [out].
  ///   - transposed: how the weight is stored.
  public func linear(_ weight: Tensor, _ bias: Tensor? = nil, transposed: Bool = false) throws(TorchError) -> Tensor {
    try linears([LinearWeight(weight, bias: bias, isTransposed: transposed)])[0]
  }

  /// x·Wᵀ + b + s·dropout(x)·Aᵀ·Bᵀ for each of `weights`, which all take this input [.., in] → [.., out].
  ///
  /// Where the weights are frozen, their products and those of the gradients run in one go, and what each gives to the input's
  /// gradient is summed before it is rounded; of a low-rank update the input and the product of rank r are kept, and the mask of
  /// the dropout is made again from a counter. For a few rows without gradients each weight is read once, at the speed of memory.
  /// Packed weights are expanded a part at a time, forward and backward.
  public func linears(_ weights: [LinearWeight]) throws(TorchError) -> [Tensor] {
    var outs = [ct_tensor](repeating: ct_tensor(), count: weights.count)
    let packed = weights.map { $0.packed?.raw ?? ct_packed_weight() }
    let status = withExtendedLifetime((self, weights)) {
      packed.withUnsafeBufferPointer { packed in
        let raws = weights.enumerated().compactMap { index, weight in packed.baseAddress.map { weight.raw(packed: $0 + index) } }
        return ct_linears(raw, raws, Int64(raws.count), &outs)
      }
    }
    guard status == CT_OK else {
      throw TorchError(status, operation: "linear", operands: [self] + weights.flatMap(\.operands))
    }
    return outs.map(Tensor.init(owning:))
  }

  /// This matrix [out, in] in 8 bits with a scale for 32 neighbours: in each block of 32 neighbours of a row, scale = max|w| / 127 and numbers =
  /// round(w / scale), so that no number is off by more than half a scale.
  public func quantized() throws(TorchError) -> (numbers: Tensor, scales: Tensor) {
    var (numbers, scales) = (ct_tensor(), ct_tensor())
    try Tensor.run("quantize", self) { ct_quantize(raw, &numbers, &scales) }
    return (Tensor(owning: numbers), Tensor(owning: scales))
  }

  /// These 8-bit numbers [out, in] times their scales, in float32 or bfloat16.
  public func expanded(scales: Tensor, as dtype: DType) throws(TorchError) -> Tensor {
    try Tensor.make("expand_quantized", self, scales) { ct_expand_quantized(raw, scales.raw, dtype.raw, $0) }
  }
}
