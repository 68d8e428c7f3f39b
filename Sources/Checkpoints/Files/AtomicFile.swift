import Foundation

/// Writes a file so that a reader sees either the whole new one or what was there before, whenever the process or the machine stops.
///
/// The bytes go to a temporary name in the same folder and are flushed to disk before the rename; the folder is flushed after it.
public enum AtomicFile {
  /// Writes a file through `body`.
  ///
  /// A file that exists is replaced and lends its permissions; a symbolic link is replaced, not followed.
  ///
  /// - Parameters:
  ///   - url: the file to make; its folder must exist.
  ///   - body: writes the contents. Where it throws, the temporary is removed and nothing else has changed.
  /// - Throws: ``CheckpointError`` with path and cause where the system refuses; whatever `body` throws.
  public static func write<Result>(to url: URL, _ body: (FileSink) throws -> Result) throws -> Result {
    let path = url.path
    TemporaryName.removeStale(beside: url)
    let (descriptor, temporary) = try create(for: path)
    do {
      defer { close(descriptor) }
      let result = try body(FileSink(descriptor: descriptor, path: path))
      try SystemCall.synchronize(descriptor, path)
      try SystemCall.rename(temporary, to: path)
      try SystemCall.synchronize(path: url.deletingLastPathComponent().path)
      return result
    } catch {
      unlink(temporary)
      throw error
    }
  }

  /// Writes a file that holds `text`.
  public static func write(_ text: String, to url: URL) throws { try write(to: url) { try $0.write(text) } }

  /// Writes a file that holds `bytes`.
  public static func write(_ bytes: [UInt8], to url: URL) throws { try write(to: url) { try $0.write(bytes) } }

  private static func create(for path: String) throws(CheckpointError) -> (descriptor: Int32, path: String) {
    var replaced = stat()
    let replaces = stat(path, &replaced) == 0
    guard !replaces || replaced.st_mode & S_IFMT == S_IFREG else {
      throw CheckpointError(.system(EEXIST), at: path, "cannot write a file here: there is a folder or a device")
    }
    while true {
      let temporary = TemporaryName.fresh(for: path)
      let descriptor = try SystemCall.open(temporary, O_WRONLY | O_CREAT | O_EXCL, shown: path, doing: "cannot create")
      guard TemporaryName.hold(descriptor) else {
        close(descriptor)
        continue
      }
      if replaces { fchmod(descriptor, replaced.st_mode & 0o7777) }
      return (descriptor, temporary)
    }
  }
}
