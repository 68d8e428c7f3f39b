import Checkpoints
import Foundation

/// The folder in which a run leaves its files.
struct RunFolder {
  /// The folder.
  let url: URL
  /// The folder as the recipe names it.
  let name: String

  /// The record of steps: a folder with it holds a run. It goes first where a run is removed, and comes last where one begins.
  private static let record = "metrics.jsonl"
  /// What else a run writes.
  private static let contents = [
    "rounds", "checkpoints", "best", "adapter", "model", "report.html", "summary.json", "rollouts.jsonl",
  ]
  private static let recipe = "recipe.yaml"

  /// The folder a recipe names.
  init(_ name: String) { (self.name, url) = (name, URL(filePath: name).standardizedFileURL) }

  private func holds(_ entry: String) -> Bool { FileManager.default.fileExists(atPath: url.appending(path: entry).path) }

  /// Refuses a folder in which the run could not write, or would replace what is not its own.
  ///
  /// - Parameters:
  ///   - resuming: it must hold a run.
  ///   - overwriting: a run in it may be removed.
  /// - Throws: ``RecipeError`` that names the path and says what to do.
  func check(resuming: Bool, overwriting: Bool) throws(RecipeError) {
    try checkPlace()
    let holdsRun = holds(Self.record)
    if resuming, !holdsRun { throw RecipeError("output: \(name) holds no run to go on with; start without --resume") }
    guard !resuming, !overwriting else { return }
    if holdsRun {
      throw RecipeError("output: \(name) holds a run already; --resume goes on with it, --overwrite starts anew")
    }
    let others = (Self.contents + [Self.recipe]).filter(holds).map { "“\($0)”" }
    guard others.isEmpty else {
      throw RecipeError(
        "output: \(name) holds \(others.joined(separator: ", ")), which the run would replace, and no run; name another folder, "
          + "or let --overwrite replace them")
    }
  }

  /// Refuses a path that is a file, lies below one, or cannot be written to.
  private func checkPlace() throws(RecipeError) {
    var place = url
    var isFolder: ObjCBool = false
    while !FileManager.default.fileExists(atPath: place.path, isDirectory: &isFolder), place.path != "/" {
      place.deleteLastPathComponent()
    }
    guard isFolder.boolValue else {
      throw RecipeError("output: \(place.path) is a file, and the run needs a folder; name another one")
    }
    guard access(place.path, W_OK | X_OK) == 0 else {
      let reason = String(cString: strerror(errno))
      throw RecipeError("output: \(place.path) cannot be written to: \(reason); name another folder, or make this one writable")
    }
  }

  /// Makes the folder and writes the resolved recipe; a run that starts anew removes what an older one left.
  ///
  /// - Throws: what the system refuses.
  func prepare(recipe: String, resuming: Bool) throws {
    let manager = FileManager.default
    if !resuming {
      for entry in [Self.record] + Self.contents where holds(entry) { try manager.removeItem(at: url.appending(path: entry)) }
    }
    try manager.createDirectory(at: url, withIntermediateDirectories: true)
    try AtomicFile.write(recipe, to: url.appending(path: Self.recipe))
  }
}
