import Checkpoints
import Foundation
import OrderedCollections
import Text
import Tuners

/// Adapters as folders on this machine: finding and renaming them.
public enum AdapterPlaces {
  /// How deep folders are searched.
  private static let depth = 4
  /// Folders of a run that hold copies of its adapter.
  private static let copies: Set<String> = ["checkpoints", "best"]

  /// The adapters in a folder and below it, the folder itself included, in order of their paths. Checkpoints of runs are left out.
  ///
  /// - Throws: ``RecipeError`` where there is no such folder.
  public static func find(in folder: String) throws(RecipeError) -> [URL] {
    let root = URL(filePath: folder).standardizedFileURL
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: root.path, isDirectory: &isFolder) else {
      throw RecipeError("there is no folder “\(folder)”")
    }
    guard isFolder.boolValue else { throw RecipeError("“\(folder)” is a file; give a folder that holds adapters") }
    return find(root, depth: depth)
  }

  private static func find(_ folder: URL, depth: Int) -> [URL] {
    let manager = FileManager.default
    if isAdapter(folder) { return [folder] }
    guard depth > 0 else { return [] }
    let entries = (try? manager.contentsOfDirectory(atPath: folder.path)) ?? []
    return entries.sorted().filter { !$0.hasPrefix(".") && !copies.contains($0) }.flatMap { entry in
      let url = folder.appending(path: entry)
      // A link may lead back up.
      let type = try? manager.attributesOfItem(atPath: url.path)[.type] as? FileAttributeType
      return type == .typeDirectory ? find(url, depth: depth - 1) : []
    }
  }

  /// Whether a folder is an adapter's own.
  public static func isAdapter(_ folder: URL) -> Bool {
    let manager = FileManager.default
    guard AdapterFolder.settings(folder) != nil else { return false }
    let names = [AdapterFolder.weightsName, MLXAdapter.weightsName, AdapterHubFolder.weightsName, FusionFolder.weightsName]
    return names.contains { manager.fileExists(atPath: folder.appending(path: $0).path) }
  }

  /// The folder with the adapter that a user means: that folder itself, or the folder of a run that holds it as `adapter`.
  ///
  /// - Throws: ``RecipeError`` where neither holds an adapter.
  public static func resolve(_ path: String) throws(RecipeError) -> URL { try ModelWeights.adapterFolder(path) }

  /// What an adapter is called: the name of its folder, or, for that of a run, of the run's folder.
  public static func name(of folder: URL) -> String {
    let own = folder.lastPathComponent
    return own == "adapter" ? folder.deletingLastPathComponent().lastPathComponent : own
  }

  /// Gives an adapter's folder another name.
  ///
  /// - Returns: the folder by its new name.
  /// - Throws: ``RecipeError`` where the name is none for a folder or is taken, or the adapter is part of a run.
  public static func rename(_ path: String, to name: String) throws -> URL {
    let folder = URL(filePath: path).standardizedFileURL
    guard isAdapter(folder) else {
      _ = try resolve(path)
      throw RecipeError(
        "“\(path)” is the folder of a run, whose files name each other; rename it as any folder, its adapter goes along")
    }
    let parent = folder.deletingLastPathComponent()
    guard !FileManager.default.fileExists(atPath: parent.appending(path: "metrics.jsonl").path) else {
      throw RecipeError("“\(path)” is part of a run, which looks for it by this name; copy it, and rename the copy")
    }
    guard !name.isEmpty, !name.hasPrefix("."), name.allSatisfy({ $0.isLetter || $0.isNumber || "-_.".contains($0) }) else {
      throw RecipeError("“\(name)” cannot name an adapter: use letters, digits, “-”, “_” and “.”")
    }
    let target = parent.appending(path: name)
    guard !FileManager.default.fileExists(atPath: target.path) else {
      throw RecipeError("\(target.path) is there already; give another name")
    }
    try FileManager.default.moveItem(at: folder, to: target)
    return target
  }

  /// Says anew which model an adapter is for, under the key that its layout has for it. Other settings stay as they are.
  public static func setBase(_ base: String, of folder: URL) throws {
    let url = AdapterFolder.settings(folder) ?? folder.appending(path: AdapterFolder.configName)
    var members = try JSONFile.object(at: url).object ?? [:]
    let isAdapterHub = AdapterHubFolder.isOne(.object(members))
    let key = MLXAdapter.isOne(folder) ? "model" : isAdapterHub ? AdapterHubFolder.baseKey : "base_model_name_or_path"
    members[key] = .string(base)
    try AtomicFile.write(JSON.object(members).text(.pretty) + "\n", to: url)
  }
}

extension AdapterPlaces {
  /// Refuses a folder to write an adapter into that is one of those read, a file, or holds files.
  ///
  /// - Throws: ``RecipeError`` that names the path and says what to do.
  public static func checkOutput(_ folder: URL, inputs: [URL], replacing: Bool) throws(RecipeError) {
    try OutputFolder(url: folder).check(inputs: inputs, replacing: replacing, for: "the adapter")
  }
}
