import CTorch

/// Runs `body` with or without the kernels that do a whole layer in one pass; the state before comes back even if it throws.
///
/// Without them norms, activations, dropout, linear layers and attention over segments come from libtorch's own operations: slower,
/// and what the kernels are compared with. The state belongs to the thread, so `body` is synchronous.
public func withFusedKernels<Result, Failure: Error>(
  _ enabled: Bool, _ body: () throws(Failure) -> Result
) throws(Failure) -> Result {
  let before = ct_fused_kernels()
  ct_set_fused_kernels(enabled)
  defer { ct_set_fused_kernels(before) }
  return try body()
}
