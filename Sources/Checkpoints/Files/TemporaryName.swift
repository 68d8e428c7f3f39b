import Foundation

/// The name of something half-written: `NAME.tmp-` and sixteen hexadecimal digits, in the folder where NAME will stand.
///
/// Whoever writes holds a lock (`flock`) on it. A temporary that nobody holds was left by a process that died, whatever machine
/// or container that was in; ``removeStale(beside:)`` takes it away.
public enum TemporaryName {
  static let mark = ".tmp-"
  /// The mark of a folder that was moved aside where the file system cannot exchange two folders.
  static let asideMark = ".old-"

  /// A new name beside `path`.
  static func fresh(for path: String, mark: String = mark) -> String {
    let digits = String(UInt64.random(in: .min ... .max), radix: 16)
    return path + mark + String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// The name of which `entry` is a temporary; nil where it is none.
  public static func owner(of entry: String) -> String? { owner(of: entry, mark: mark) }

  static func owner(of entry: String, mark: String) -> String? {
    let digits = entry.suffix(16)
    let name = entry.dropLast(16)
    let isHexadecimal = digits.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    guard digits.count == 16, isHexadecimal, name.hasSuffix(mark), name.count > mark.count else { return nil }
    return String(name.dropLast(mark.count))
  }

  /// Removes the temporaries of `url` that no process is writing.
  ///
  /// - Returns: the paths removed.
  @discardableResult
  public static func removeStale(beside url: URL) -> [String] {
    let name = url.lastPathComponent
    return removeStale(in: url.deletingLastPathComponent()) { $0 == name }
  }

  /// Removes every temporary in a folder that no process is writing.
  ///
  /// - Returns: the paths removed.
  @discardableResult
  public static func removeStale(in folder: URL) -> [String] { removeStale(in: folder) { _ in true } }

  private static func removeStale(in folder: URL, where belongs: (String) -> Bool) -> [String] {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return entries.sorted().compactMap { entry in
      guard let owner = owner(of: entry), belongs(owner) else { return nil }
      let path = folder.appendingPathComponent(entry).path
      return removeIfUnheld(path) ? path : nil
    }
  }

  /// Removes a temporary whose lock is free. A file system without locks keeps it.
  private static func removeIfUnheld(_ path: String) -> Bool {
    guard let descriptor = try? SystemCall.open(path, O_RDONLY | O_NOFOLLOW, doing: "cannot open") else { return false }
    defer { close(descriptor) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return false }
    return (try? FileManager.default.removeItem(atPath: path)) != nil
  }

  /// Takes the writer's lock on a temporary just made.
  ///
  /// - Returns: false where a cleaner was faster and the temporary is gone, so that another has to be made.
  static func hold(_ descriptor: Int32) -> Bool {
    // A file system without locks refuses; then no cleaner can hold one either.
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return errno != EWOULDBLOCK }
    var status = stat()
    return fstat(descriptor, &status) == 0 && status.st_nlink > 0
  }
}
