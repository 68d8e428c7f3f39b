import CTorch
import Foundation

/// Writes a whole folder so that its name stands for either the whole new one or the one before, whenever the process stops.
///
/// The files are made in `NAME.tmp-…`, listed in a ``FolderManifest`` and flushed to disk, file by file and folder by folder, before
/// the name changes hands. An existing folder is exchanged with the new one in one step. Where the file system has no such step,
/// the old folder is first moved to `NAME.old-…`; ``settle(_:)`` brings it back if the process stops in between.
public enum AtomicFolder {
  /// Makes or replaces a folder through `body`. All that an existing folder held goes with it.
  ///
  /// - Parameters:
  ///   - url: the folder to make; the one above it must exist.
  ///   - body: writes the files into the folder it is given. Where it throws, that folder is removed and nothing else has changed.
  /// - Throws: ``CheckpointError`` with path and cause where the system refuses; whatever `body` throws.
  public static func write<Result>(to url: URL, _ body: (URL) throws -> Result) throws -> Result {
    try write(to: url, exchanging: { ct_exchange_paths($0, $1) }, body)
  }

  /// The same with another way to exchange two paths, which returns an `errno` or zero.
  static func write<Result>(
    to url: URL, exchanging exchange: (String, String) -> Int32, _ body: (URL) throws -> Result
  ) throws -> Result {
    let path = url.path
    try settle(url)
    var replaced = stat()
    guard lstat(path, &replaced) != 0 || replaced.st_mode & S_IFMT == S_IFDIR else {
      throw CheckpointError(.system(EEXIST), at: path, "cannot make a folder here: there is a file of this name")
    }
    TemporaryName.removeStale(beside: url)
    let (descriptor, temporary) = try create(for: path)
    defer { close(descriptor) }
    do {
      let folder = URL(fileURLWithPath: temporary, isDirectory: true)
      let result = try body(folder)
      let manifest = try FolderManifest(scanning: folder)
      try AtomicFile.write(manifest.text, to: folder.appendingPathComponent(FolderManifest.fileName))
      try synchronize(folder)
      try put(temporary, at: path, exchanging: exchange)
      try SystemCall.synchronize(path: url.deletingLastPathComponent().path)
      // What was there before now has the temporary's name.
      try? FileManager.default.removeItem(atPath: temporary)
      return result
    } catch {
      try? FileManager.default.removeItem(atPath: temporary)
      throw error
    }
  }

  /// Finishes or undoes a replacement that was cut off on a file system without exchange. Call it before reading the folder.
  ///
  /// - Throws: ``CheckpointError`` where the folder that was moved aside cannot be moved back.
  public static func settle(_ url: URL) throws(CheckpointError) {
    let parent = url.deletingLastPathComponent()
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: parent.path)) ?? []
    let name = url.lastPathComponent
    for entry in entries.sorted() where TemporaryName.owner(of: entry, mark: TemporaryName.asideMark) == name {
      let aside = parent.appendingPathComponent(entry).path
      if SystemCall.exists(url.path) {
        try? FileManager.default.removeItem(atPath: aside)
      } else {
        try SystemCall.rename(aside, to: url.path)
      }
    }
  }

  private static func create(for path: String) throws(CheckpointError) -> (descriptor: Int32, path: String) {
    while true {
      let temporary = TemporaryName.fresh(for: path)
      guard mkdir(temporary, 0o777) == 0 else { throw .system(errno, at: path, doing: "cannot create the folder") }
      let descriptor = try SystemCall.open(temporary, O_RDONLY | O_DIRECTORY, shown: path, doing: "cannot open the folder")
      if TemporaryName.hold(descriptor) { return (descriptor, temporary) }
      close(descriptor)
    }
  }

  /// Flushes every file and folder below `folder`, and itself last.
  private static func synchronize(_ folder: URL) throws {
    for name in try FileManager.default.subpathsOfDirectory(atPath: folder.path) {
      try SystemCall.synchronize(path: folder.appendingPathComponent(name).path)
    }
    try SystemCall.synchronize(path: folder.path)
  }

  private static func put(
    _ temporary: String, at path: String, exchanging exchange: (String, String) -> Int32
  ) throws(CheckpointError) {
    guard SystemCall.exists(path) else { return try SystemCall.rename(temporary, to: path) }
    let code = exchange(temporary, path)
    if code == 0 { return }
    guard code == EINVAL || code == ENOTSUP || code == ENOSYS else {
      throw .system(code, at: path, doing: "cannot exchange the old folder for the new")
    }
    let aside = TemporaryName.fresh(for: path, mark: TemporaryName.asideMark)
    try SystemCall.rename(path, to: aside)
    try SystemCall.rename(temporary, to: path)
    try? FileManager.default.removeItem(atPath: aside)
  }
}
