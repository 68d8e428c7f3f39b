import Foundation

/// A folder that a command is to fill.
struct OutputFolder {
  /// The folder.
  let url: URL

  /// Refuses a folder that is what is read, that is a file, or that holds files which nobody allowed to be replaced.
  ///
  /// - Parameters:
  ///   - inputs: what is read.
  ///   - replacing: whether it may hold files.
  ///   - content: what it is for, in the errors: `the model`.
  /// - Throws: ``RecipeError`` that names the path and says what to do.
  func check(inputs: [URL], replacing: Bool, for content: String) throws(RecipeError) {
    let target = url.standardizedFileURL.resolvingSymlinksInPath().path
    guard !inputs.contains(where: { $0.standardizedFileURL.resolvingSymlinksInPath().path == target }) else {
      throw RecipeError("\(url.path) is what is read; give another folder for the result")
    }
    var isFolder: ObjCBool = true
    guard !FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) || isFolder.boolValue else {
      throw RecipeError("\(url.path) is a file, and \(content) needs a folder; name another one")
    }
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
    guard entries.isEmpty || replacing else {
      throw RecipeError("\(url.path) holds files already; give another folder, or --force to write into this one")
    }
  }

  /// Makes the folder and takes away the file whose presence says that the rest is whole.
  func begin(sealedBy seal: String) throws {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    let file = url.appending(path: seal)
    if FileManager.default.fileExists(atPath: file.path) { try FileManager.default.removeItem(at: file) }
  }
}
