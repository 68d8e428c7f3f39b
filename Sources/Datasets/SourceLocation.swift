/// Where a row stands in the files it was read from.
public struct SourceLocation: Sendable, Hashable, Codable, CustomStringConvertible {
  /// The path as it was given.
  public var file: String
  /// The line on which the row begins, from 1.
  public var line: Int

  /// A place in a file.
  public init(file: String, line: Int) {
    self.file = file
    self.line = line
  }

  /// `file:line`, which editors and terminals follow.
  public var description: String { "\(file):\(line)" }
}
