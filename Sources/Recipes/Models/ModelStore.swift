import Checkpoints
import Foundation
import OrderedCollections
import Text

/// Names for models on this machine: a file of ours says which folder or .gguf each stands for.
public struct ModelStore: Sendable {
  /// The folder that holds `models.json`.
  public let folder: URL

  /// The store in `folder`.
  public init(folder: URL) { self.folder = folder }

  /// The user's store: `ATTUNE_HOME`, or `.attune` in the home folder.
  public static var standard: ModelStore {
    let home = ProcessInfo.processInfo.environment["ATTUNE_HOME"].map { URL(filePath: $0) }
    return ModelStore(folder: home ?? FileManager.default.homeDirectoryForCurrentUser.appending(path: ".attune"))
  }

  private var file: URL { folder.appending(path: "models.json") }

  /// Every name with its path, in order of addition.
  ///
  /// - Throws: `CheckpointError` where `models.json` is damaged.
  public func entries() throws -> OrderedDictionary<String, String> {
    guard FileManager.default.fileExists(atPath: file.path) else { return [:] }
    let members = try JSONFile.object(at: file).object ?? [:]
    return members.compactMapValues(\.string)
  }

  /// Gives `path` a name, replacing what had it.
  ///
  /// - Throws: ``RecipeError`` where the name could be mistaken for a path; what opening the model throws.
  public func add(_ path: String, named name: String) throws {
    guard !name.isEmpty, name.allSatisfy({ $0.isLetter || $0.isNumber || "-_.:".contains($0) }), !name.hasPrefix(".") else {
      throw RecipeError("“\(name)” cannot name a model: use letters, digits, “-”, “_”, “.” and “:”")
    }
    let url = URL(filePath: path).standardizedFileURL
    _ = try ModelFiles(url)
    var entries = try entries()
    entries[name] = url.path
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try AtomicFile.write(JSON.object(entries.mapValues(JSON.string)).text(.pretty) + "\n", to: file)
  }

  /// The folder or file a user means: a path that exists, a name of the store, or a name in the folder `models` here.
  ///
  /// - Throws: ``RecipeError`` that names the nearest known one.
  public func resolve(_ model: String) throws -> URL {
    let manager = FileManager.default
    let entries = try entries()
    if let path = entries[model] { return URL(filePath: path) }
    for candidate in [model, "models/\(model)", "models/\(model).gguf"] where manager.fileExists(atPath: candidate) {
      return URL(filePath: candidate).standardizedFileURL
    }
    let local = (try? manager.contentsOfDirectory(atPath: "models")) ?? []
    let names = Array(entries.keys) + local.map { $0.hasSuffix(".gguf") ? String($0.dropLast(5)) : $0 }
    let hint = nearestName(to: model, among: names).map { "; did you mean “\($0)”?" } ?? ""
    throw RecipeError(
      "there is no model “\(model)”: no such path, and no such name in the model store\(hint) "
        + "`attune models list` shows what there is, `attune models add PATH --name NAME` adds one")
  }
}
