import Foundation
import Text

/// The list of a folder's files with sizes and check values, by which a folder that lost a part is known from a whole one.
///
/// It is the file `attune-manifest.json` in the folder itself, written last.
public struct FolderManifest: Sendable, Hashable {
  /// The name of the manifest's own file.
  public static let fileName = "attune-manifest.json"
  private static let version = 1

  /// One file of the folder.
  public struct Entry: Sendable, Hashable {
    /// The path within the folder, with `/` between its parts.
    public let name: String
    /// The size in bytes.
    public let byteCount: Int
    /// The CRC-32 of the contents.
    public let checksum: UInt32
  }

  /// The files, by name.
  public let entries: [Entry]

  /// Reads every file below a folder, the manifest itself left out.
  init(scanning folder: URL) throws {
    entries = try FolderManifest.files(below: folder).filter { $0 != FolderManifest.fileName }.map { name in
      let file = try MappedFile(folder.appendingPathComponent(name))
      return Entry(name: name, byteCount: file.bytes.count, checksum: CRC32.of(file.bytes))
    }
  }

  /// Reads the manifest of a folder.
  ///
  /// - Throws: ``CheckpointError`` of kind `incomplete` where there is none, `malformed` where it is not one.
  public init(of folder: URL) throws(CheckpointError) {
    let url = folder.appendingPathComponent(FolderManifest.fileName)
    guard SystemCall.exists(url.path) else {
      throw CheckpointError(
        .incomplete, at: folder.path, "has no \(FolderManifest.fileName), so it was not written to its end",
        remedy: "Use an earlier checkpoint")
    }
    let manifest = try JSONFile.object(at: url)
    func wrong(_ problem: String) -> CheckpointError { CheckpointError(.malformed, at: url.path, problem) }
    guard manifest["version"]?.int == FolderManifest.version else { throw wrong("its version is not \(FolderManifest.version)") }
    guard let files = manifest["files"]?.array else { throw wrong("has no list “files”") }
    var entries: [Entry] = []
    for file in files {
      guard let name = file["name"]?.string, let byteCount = file["bytes"]?.int,
        let checksum = file["crc32"]?.string.flatMap({ UInt32($0, radix: 16) })
      else { throw wrong("entry \(entries.count) of “files” lacks “name”, “bytes” or “crc32”") }
      entries.append(Entry(name: name, byteCount: byteCount, checksum: checksum))
    }
    self.entries = entries
  }

  /// Compares a folder with its manifest. Files that the manifest does not know do no harm.
  ///
  /// - Parameters:
  ///   - folder: the folder.
  ///   - readingContents: compares the check values too, which reads every byte.
  /// - Throws: ``CheckpointError`` that names the first file that is missing, shorter, longer or changed.
  public static func verify(_ folder: URL, readingContents: Bool = true) throws {
    for entry in try FolderManifest(of: folder).entries {
      let url = folder.appendingPathComponent(entry.name)
      func incomplete(_ problem: String) -> CheckpointError {
        CheckpointError(
          .incomplete, at: folder.path, in: "file “\(entry.name)”", problem, remedy: "Use an earlier checkpoint")
      }
      guard SystemCall.exists(url.path) else { throw incomplete("is missing") }
      let file = try MappedFile(url)
      guard file.bytes.count == entry.byteCount else {
        throw incomplete("has \(file.bytes.count) bytes where \(entry.byteCount) were written")
      }
      guard !readingContents || CRC32.of(file.bytes) == entry.checksum else {
        throw incomplete("its contents are not those that were written (CRC-32 differs)")
      }
    }
  }

  /// The manifest as it stands in its file.
  var text: String {
    let files = entries.map { entry -> JSON in
      ["name": .string(entry.name), "bytes": .int(entry.byteCount), "crc32": .string(String(entry.checksum, radix: 16))]
    }
    let manifest: JSON = ["version": .int(FolderManifest.version), "files": .array(files)]
    return manifest.text(.pretty) + "\n"
  }

  /// The plain files below a folder, by name.
  static func files(below folder: URL) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { name in
      var isFolder: ObjCBool = false
      let exists = FileManager.default.fileExists(atPath: folder.appendingPathComponent(name).path, isDirectory: &isFolder)
      return exists && !isFolder.boolValue
    }.sorted()
  }
}
