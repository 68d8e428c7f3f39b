import CTorch

/// What libtorch is and sees on this machine.
public enum TorchRuntime {
  /// libtorch's version, such as `2.13.0`.
  public static var version: String { String(cString: ct_version()) }

  /// The instruction set libtorch's own kernels use: `DEFAULT`, `AVX2`, `AVX512`.
  public static var cpuCapability: String { String(cString: ct_cpu_capability()) }

  /// Whether this libtorch can use an NVIDIA GPU that is here.
  public static var hasCUDA: Bool { ct_cuda_available() }

  /// The number of GPUs.
  public static var cudaDeviceCount: Int { Int(ct_cuda_device_count()) }

  /// Threads inside one operation.
  public static var threads: Int { Int(ct_threads()) }

  /// Sets the threads inside one operation, 1 or more.
  public static func setThreads(_ count: Int) throws(TorchError) {
    try Tensor.run("set_num_threads") { ct_set_threads(Int32(clamping: count)) }
  }

  /// Gives memory of tensors that are gone back to the system, as far as whole regions of it are free; else it is kept for the next
  /// tensors.
  public static func trimMemory() { ct_trim_memory() }
}
