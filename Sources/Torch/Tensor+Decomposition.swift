import CTorch

extension Tensor {
  /// The reduced singular value decomposition of a matrix [m, n]: U [m, k]·diag(S [k])·Vᵀ [k, n], k = min(m, n), S from the largest
  /// down.
  ///
  /// Singular vectors are known up to their signs, and those of equal values up to a rotation.
  ///
  /// - Throws: ``TorchError`` where it is no matrix of float32 or float64, or holds a number that is not finite.
  public func singularValues() throws(TorchError) -> (u: Tensor, s: Tensor, vh: Tensor) {
    var (u, s, vh) = (ct_tensor(), ct_tensor(), ct_tensor())
    try Tensor.run("svd", self) { ct_svd(raw, &u, &s, &vh) }
    return (Tensor(owning: u), Tensor(owning: s), Tensor(owning: vh))
  }
}
