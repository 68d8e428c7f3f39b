import Foundation
import Torch

/// What figures were measured on.
public struct BenchMachine: Sendable, Codable, Hashable {
  /// The processor's name.
  public var processor = Processor.name
  /// Cores that the system shows.
  public var cores = ProcessInfo.processInfo.activeProcessorCount
  /// The instruction sets that matter to matrix products, of those the processor has.
  public var instructions = ["avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8", "bf16", "i8mm"]
    .filter(Processor.flags.contains)
  /// All memory, in bytes.
  public var memoryBytes = Memory.total
  /// Threads inside one operation.
  public var threads = TorchRuntime.threads
  /// libtorch's version.
  public var libtorch = TorchRuntime.version

  /// The machine this runs on, as it is set now.
  public init() {}
}

/// The most memory the process holds at once, from a point in time on.
public enum PeakMemory {
  /// Forgets the peak so far, where the system can: Linux takes a 5 in `/proc/self/clear_refs`.
  public static func reset() { try? Data("5".utf8).write(to: URL(filePath: "/proc/self/clear_refs")) }
}
