import Foundation

/// This machine's memory, in bytes.
public enum Memory {
  /// All of it.
  public static var total: Int { Int(clamping: ProcessInfo.processInfo.physicalMemory) }

  /// What programs can have without pushing others out: of the machine, and of the groups of processes that this one is in, each with
  /// a limit of its own (cgroups, as containers have them). Nil where the system does not say.
  public static var available: Int? {
    [available(in: text("/proc/meminfo") ?? ""), ControlGroup.room].compactMap(\.self).min()
  }

  /// `MemAvailable` of `/proc/meminfo`.
  static func available(in text: String) -> Int? {
    let line = text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
    return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
  }

  fileprivate static func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}

/// Limits on the memory of groups of processes, as Linux keeps them: version 2, and version 1 beside it.
struct ControlGroup {
  /// The folder of a group.
  let folder: String
  /// Names of its files: the limit, what is used, and in `memory.stat` what of that are pages of files that can go.
  let names: (limit: String, usage: String, cache: String)

  /// What the strictest of the groups that this process is in, and of those around them, has left; nil where none has a limit.
  static var room: Int? {
    groups(Memory.text("/proc/self/cgroup") ?? "", root: "/sys/fs/cgroup").compactMap(\.room).min()
  }

  /// The groups that `/proc/self/cgroup` names, each with those around it.
  static func groups(_ text: String, root: String) -> [ControlGroup] {
    text.split(separator: "\n").flatMap { line -> [ControlGroup] in
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { return [] }
      let isSecond = parts[0] == "0" && parts[1].isEmpty
      guard isSecond || parts[1].split(separator: ",").contains("memory") else { return [] }
      let names =
        isSecond
        ? (limit: "memory.max", usage: "memory.current", cache: "inactive_file")
        : (limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", cache: "total_inactive_file")
      var path = parts[2].split(separator: "/")
      var found: [ControlGroup] = []
      while true {
        found.append(
          ControlGroup(
            folder: ([root + (isSecond ? "" : "/memory")] + path.map(String.init)).joined(separator: "/"), names: names))
        guard path.popLast() != nil else { return found }
      }
    }
  }

  /// The limit less what is used and cannot go; nil without a limit.
  var room: Int? {
    guard let limit = number(names.limit), limit < 1 << 60, let usage = number(names.usage) else { return nil }
    let stat = Memory.text("\(folder)/memory.stat") ?? ""
    let cache = stat.split(separator: "\n").first { $0.hasPrefix(names.cache + " ") }?.split(separator: " ").last.flatMap {
      Int($0)
    }
    return max(0, limit - usage + (cache ?? 0))
  }

  private func number(_ name: String) -> Int? {
    Memory.text("\(folder)/\(name)").flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
  }
}
