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
    try write(entries)
  }

  /// Takes a name out of the store; the model's files stay.
  ///
  /// - Throws: ``RecipeError`` where there is no such name.
  public func remove(_ name: String) throws {
    var entries = try entries()
    guard entries.removeValue(forKey: name) != nil else {
      let hint = nearestName(to: name, among: entries.keys).map { "; did you mean “\($0)”?" } ?? ""
      throw RecipeError("the model store has no “\(name)”\(hint)")
    }
    try write(entries)
  }

  private func write(_ entries: OrderedDictionary<String, String>) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try AtomicFile.write(JSON.object(entries.mapValues(JSON.string)).text(.pretty) + "\n", to: file)
  }

  /// The folder or file a user means: a name of the store, a path that exists, or a name in the folder `models` here.
  ///
  /// - Throws: ``RecipeError`` that names the nearest known one.
  public func resolve(_ model: String) throws -> URL {
    let manager = FileManager.default
    let entries = try entries()
    if let path = entries[model] {
      guard manager.fileExists(atPath: path) else {
        throw RecipeError(
          "the model store's “\(model)” stands for \(path), which is gone; `attune models add PATH --name \(model)` mends it")
      }
      return URL(filePath: path)
    }
    for candidate in [model, "models/\(model)", "models/\(model).gguf"] where manager.fileExists(atPath: candidate) {
      return URL(filePath: candidate).standardizedFileURL
    }
    let known = Array(entries.keys) + Self.local(in: "models").map(\.name)
    let hint = nearestName(to: model, among: known).map { "did you mean “\($0)”? " } ?? ""
    throw RecipeError(
      "there is no model “\(model)”: no such path, and no such name in the model store; \(hint)"
        + "`attune models list` shows what there is")
  }

  /// The models in a folder: Hugging Face folders and .gguf files, each with the name that finds it.
  public static func local(in folder: String) -> [(name: String, path: String)] {
    let manager = FileManager.default
    let entries = (try? manager.contentsOfDirectory(atPath: folder)) ?? []
    return entries.sorted().compactMap { entry in
      let path = "\(folder)/\(entry)"
      if entry.hasSuffix(".gguf") { return (String(entry.dropLast(5)), path) }
      return manager.fileExists(atPath: "\(path)/config.json") ? (entry, path) : nil
    }
  }
}
