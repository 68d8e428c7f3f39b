import Foundation
import Text

/// Small JSON files: configurations, indices, manifests.
public enum JSONFile {
  /// The most bytes that a file of this sort may have. The index of a model with a million tensors fits.
  static let byteLimit = 100_000_000

  /// Reads a file that holds one JSON object.
  ///
  /// - Throws: ``CheckpointError`` with line and column where it is not JSON, and where it is a Git LFS pointer.
  public static func object(at url: URL) throws(CheckpointError) -> JSON {
    let file = try MappedFile(url)
    try LFSPointer.refuse(file)
    guard file.bytes.count <= byteLimit else {
      throw CheckpointError(.malformed, at: file.path, "has \(file.bytes.count) bytes, more than the \(byteLimit) allowed")
    }
    let value: JSON
    do { value = try JSON(parsing: file.bytes) } catch {
      throw CheckpointError(.malformed, at: file.path, error.description)
    }
    guard value.object != nil else { throw CheckpointError(.malformed, at: file.path, "is not a JSON object") }
    return value
  }
}

/// The small text that Git puts in place of a large file which was not fetched.
enum LFSPointer {
  private static let opening = Array("version https://git-lfs.github.com/spec/".utf8)

  /// Refuses a file that is a pointer.
  static func refuse(_ file: MappedFile) throws(CheckpointError) {
    guard file.bytes.count < 1024, file.bytes.starts(with: opening) else { return }
    throw CheckpointError(
      .unsupported, at: file.path, "is a Git LFS pointer, not the file itself",
      remedy: "Fetch the contents with `git lfs pull`, or download the file again")
  }
}
