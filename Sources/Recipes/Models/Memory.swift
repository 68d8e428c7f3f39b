import Foundation

/// This machine's memory, in bytes.
public enum Memory {
  /// All of it.
  public static var total: Int { Int(clamping: ProcessInfo.processInfo.physicalMemory) }

  /// What programs can have without pushing others out; nil where the system does not say.
  public static var available: Int? {
    guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
      let kibibytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return nil }
    return kibibytes * 1024
  }
}
