import Foundation

/// Files that are read and written at once.
enum SameFile {
  /// Refuses to write what is made of a file over it.
  ///
  /// - Parameter result: what would replace it, in words.
  static func refuse(input: String, output: String, for result: String) throws(CommandError) {
    let paths = [input, output].map { URL(filePath: $0).resolvingSymlinksInPath().path }
    guard output != "-", paths[0] == paths[1] else { return }
    throw CommandError("--output: \(output) is the input, which \(result) would replace; name another file")
  }
}
