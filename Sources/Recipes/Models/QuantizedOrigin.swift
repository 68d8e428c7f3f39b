import Checkpoints
import Foundation
import Text
import Tuners

/// What Attune notes in the folder of a model that it quantized: which weights that was made from.
///
/// So an adapter that was trained over one of the two is known to be of the same model, and merging finds the weights as they were.
struct QuantizedOrigin: Sendable, Hashable {
  /// The folder or file that was quantized.
  let path: String
  /// The fingerprint of its weights.
  let fingerprint: String

  private static func file(in folder: URL) -> URL { folder.appending(path: AdapterRecord.fileName) }

  /// The origin of `files`, quantized now.
  init(_ files: ModelFiles) throws {
    (path, fingerprint) = (URL(filePath: files.path).standardizedFileURL.path, try BaseFingerprint(files.weights).description)
  }

  /// Reads the note in a model's folder; nil where there is none.
  ///
  /// - Throws: `CheckpointError` for a damaged file, ``RecipeError`` for one that says something else.
  init?(readingFrom folder: URL) throws {
    let url = Self.file(in: folder)
    guard FileManager.default.fileExists(atPath: url.path), let note = try JSONFile.object(at: url)["quantized_from"] else {
      return nil
    }
    guard let path = note["path"]?.string, let fingerprint = note["fingerprint"]?.string else {
      throw RecipeError(
        "\(url.path): “quantized_from” lacks “path” or “fingerprint”; remove the file to use the model without it")
    }
    (self.path, self.fingerprint) = (path, fingerprint)
  }

  /// Writes the note into a model's folder; without one, takes away what another model left there.
  static func write(_ origin: QuantizedOrigin?, to folder: URL) throws {
    let url = file(in: folder)
    guard let origin else {
      if FileManager.default.fileExists(atPath: url.path) { try FileManager.default.removeItem(at: url) }
      return
    }
    let json: JSON = ["quantized_from": ["path": .string(origin.path), "fingerprint": .string(origin.fingerprint)]]
    try AtomicFile.write(json.text(.pretty) + "\n", to: url)
  }
}
