import Foundation
import Torch

/// What this machine's processor can do.
public enum Processor {
  /// The flags Linux lists for the first core.
  public static let flags: Set<String> = {
    guard let text = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8) else { return [] }
    let line = text.split(separator: "\n").first { $0.hasPrefix("flags") || $0.hasPrefix("Features") }
    return Set((line?.split(separator: ":").last ?? "").split(separator: " ").map(String.init))
  }()

  /// Whether products of bfloat16 run in hardware: AMX, AVX512-BF16, or Arm's BF16.
  public static var multipliesBFloat16: Bool {
    !flags.isDisjoint(with: ["amx_bf16", "avx512_bf16", "bf16"])
  }

  /// How many times as fast a layer's product runs in bfloat16 as in float32, measured once: 512 tokens through a layer of 1024 by
  /// 1024, the fastest of three.
  public static let bfloat16Gain: Double = {
    func seconds(_ dtype: DType) throws -> Double {
      let (x, weight) = (try Tensor.ones([512, 1024]).to(dtype), try Tensor.ones([1024, 1024]).to(dtype))
      return try withoutGradients { () throws in
        _ = try x.linear(weight)
        return try (0..<3).map { _ in
          let start = ContinuousClock.now
          _ = try x.linear(weight)
          return (ContinuousClock.now - start) / .seconds(1)
        }.min() ?? 0
      }
    }
    guard let wide = try? seconds(.float32), let narrow = try? seconds(.bfloat16), narrow > 0 else { return 0 }
    return wide / narrow
  }()

  /// Whether bfloat16 is the default: its products run in hardware, and that makes them faster here.
  public static var prefersBFloat16: Bool { multipliesBFloat16 && bfloat16Gain > 1.1 }

  /// The processor's name.
  public static var name: String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown processor"
  }
}
