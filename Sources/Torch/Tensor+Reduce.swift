import CTorch

extension Tensor {
  private func reduce(_ op: ct_reduction, _ name: StaticString, _ dims: [Int], _ keep: Bool) throws(TorchError) -> Tensor {
    try Tensor.make(name, self) { ct_reduce(op, raw, dims.int64, Int64(dims.count), keep, $0) }
  }

  /// The sum over `dims`; over everything where none is given.
  public func sum(_ dims: Int..., keep: Bool = false) throws(TorchError) -> Tensor { try reduce(CT_SUM, "sum", dims, keep) }
  /// The mean over `dims`.
  public func mean(_ dims: Int..., keep: Bool = false) throws(TorchError) -> Tensor { try reduce(CT_MEAN, "mean", dims, keep) }
  /// The largest element over `dims`.
  public func max(_ dims: Int..., keep: Bool = false) throws(TorchError) -> Tensor { try reduce(CT_AMAX, "amax", dims, keep) }
  /// The smallest element over `dims`.
  public func min(_ dims: Int..., keep: Bool = false) throws(TorchError) -> Tensor { try reduce(CT_AMIN, "amin", dims, keep) }
  /// log Σ eˣ over `dims`.
  public func logSumExp(_ dims: Int..., keep: Bool = false) throws(TorchError) -> Tensor {
    try reduce(CT_LOGSUMEXP, "logsumexp", dims, keep)
  }
  /// √Σ x² over `dims`.
  public func norm(_ dims: Int..., keep: Bool = false) throws(TorchError) -> Tensor { try reduce(CT_NORM2, "norm", dims, keep) }
  /// Whether every element is true.
  public func all() throws(TorchError) -> Bool { try reduce(CT_ALL, "all", [], false).item() != 0 }
  /// Whether some element is true.
  public func any() throws(TorchError) -> Bool { try reduce(CT_ANY, "any", [], false).item() != 0 }

  /// The index of the largest element of `dim`.
  public func argmax(_ dim: Int = -1) throws(TorchError) -> Tensor {
    try Tensor.make("argmax", self) { ct_argmax(raw, Int64(dim), $0) }
  }

  /// eˣ/Σ eˣ over `dim`.
  public func softmax(_ dim: Int = -1) throws(TorchError) -> Tensor {
    try Tensor.make("softmax", self) { ct_softmax(raw, Int64(dim), $0) }
  }

  /// log(eˣ/Σ eˣ) over `dim`.
  public func logSoftmax(_ dim: Int = -1) throws(TorchError) -> Tensor {
    try Tensor.make("log_softmax", self) { ct_log_softmax(raw, Int64(dim), $0) }
  }

  /// The running sum along `dim`.
  public func cumulativeSum(_ dim: Int = -1) throws(TorchError) -> Tensor {
    try Tensor.make("cumsum", self) { ct_cumsum(raw, Int64(dim), $0) }
  }

  /// The elements of `dim` in order, and where each stood; equal ones keep their order.
  public func sorted(_ dim: Int = -1, descending: Bool = true) throws(TorchError) -> (values: Tensor, indices: Tensor) {
    try pair("sort") { ct_sort(raw, Int64(dim), descending, $0, $1) }
  }

  /// The `k` largest elements of `dim`, in descending order, and where each stood.
  public func top(_ k: Int, _ dim: Int = -1) throws(TorchError) -> (values: Tensor, indices: Tensor) {
    try pair("topk") { ct_topk(raw, Int64(k), Int64(dim), $0, $1) }
  }

  private func pair(
    _ name: StaticString, _ call: (UnsafeMutablePointer<ct_tensor>, UnsafeMutablePointer<ct_tensor>) -> ct_status
  ) throws(TorchError) -> (values: Tensor, indices: Tensor) {
    var values = ct_tensor()
    var indices = ct_tensor()
    try Tensor.run(name, self) { call(&values, &indices) }
    return (Tensor(owning: values), Tensor(owning: indices))
  }
}
