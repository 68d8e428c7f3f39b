/// Why preferences cannot be read or kept.
public struct PreferenceError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong, where, and what to do.
  public let description: String

  /// A failure in words.
  public init(_ description: String) { self.description = description }
}
