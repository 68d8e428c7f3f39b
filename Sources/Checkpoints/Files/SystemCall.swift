import Foundation

/// System calls on files that try again when a signal interrupts them and turn failures into errors with path and cause.
enum SystemCall {
  /// Opens a path; the descriptor is closed in child processes. `shown` is the path in an error's text.
  static func open(
    _ path: String, _ flags: Int32, shown: String? = nil, doing action: String
  ) throws(CheckpointError) -> Int32 {
    while true {
      let descriptor = Foundation.open(path, flags | O_CLOEXEC, 0o666)
      if descriptor >= 0 { return descriptor }
      guard errno == EINTR else { throw .system(errno, at: shown ?? path, doing: action) }
    }
  }

  /// Waits until what was written to a descriptor is on the disk.
  static func synchronize(_ descriptor: Int32, _ path: String) throws(CheckpointError) {
    while fsync(descriptor) != 0 {
      // Some file systems cannot synchronize a folder and say so; there is nothing more to wait for.
      if errno == EINVAL || errno == ENOTSUP { return }
      guard errno == EINTR else { throw .system(errno, at: path, doing: "cannot flush to disk") }
    }
  }

  /// Waits until a file, or the entries of a folder, are on the disk.
  static func synchronize(path: String) throws(CheckpointError) {
    let descriptor = try open(path, O_RDONLY, doing: "cannot open to flush")
    defer { close(descriptor) }
    try synchronize(descriptor, path)
  }

  /// Renames within a file system, replacing a file that has the new name.
  static func rename(_ path: String, to newPath: String) throws(CheckpointError) {
    guard Foundation.rename(path, newPath) == 0 else { throw .system(errno, at: newPath, doing: "cannot put in place") }
  }

  /// True where something, even a broken link, has this path.
  static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }
}
