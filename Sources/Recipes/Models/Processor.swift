import Foundation

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

  /// The processor's name.
  public static var name: String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown processor"
  }
}
