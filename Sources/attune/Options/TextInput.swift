import Foundation

/// Text that a command line names: a file, or standard input as `-`.
enum TextInput {
  /// The whole of a file or of standard input.
  ///
  /// - Throws: ``CommandError`` where it cannot be read or is not UTF-8.
  static func read(_ path: String) throws(CommandError) -> String {
    let name = path == "-" ? "standard input" : path
    let data: Data
    do {
      data = path == "-" ? try FileHandle.standardInput.readToEnd() ?? Data() : try Data(contentsOf: URL(filePath: path))
    } catch { throw CommandError("\(name): cannot be read: \(reason(error))") }
    guard let text = String(validating: data, as: UTF8.self) else { throw CommandError("\(name): is not UTF-8 text") }
    return text
  }

  /// The system's words for a failure to read.
  private static func reason(_ error: any Error) -> String {
    let code = (error as NSError).userInfo[NSUnderlyingErrorKey].flatMap { ($0 as? NSError)?.code }
    return code.map { String(cString: strerror(Int32($0))) } ?? error.localizedDescription
  }
}
