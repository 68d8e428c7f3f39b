/// Why a model cannot be made or loaded.
public struct ModelError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong, where, and what to do.
  public let description: String

  /// An error that says `description`.
  public init(_ description: String) { self.description = description }
}
