/// What makes a tokenizer's files unusable, and where.
public struct TokenizerError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The file or block of metadata: `tokenizer.json`, `tokenizer_config.json`, `GGUF metadata`.
  public let source: String
  /// The path of the key at fault, such as `model.merges[3]`; empty for the file as a whole.
  public let path: String
  /// What is wrong there.
  public let problem: String

  init(_ source: String, _ path: String, _ problem: String) {
    self.source = source
    self.path = path
    self.problem = problem
  }

  /// The same error with `place` before its source, such as the folder of the file.
  public func located(at place: String) -> TokenizerError { TokenizerError(place + source, path, problem) }

  /// Source, path and problem in one line.
  public var description: String { path.isEmpty ? "\(source): \(problem)" : "\(source): \(path): \(problem)" }
}
