import Torch

/// What stands before a row of tokens.
public struct PromptChoice: Sendable, Hashable {
  /// The soft prompts by adapter name, in the order they stand in; names that have none here mean nothing.
  public var names: [String]
  /// The task of the row; nil for that of a row of which nobody says one.
  public var task: Int?

  /// The soft prompts of these adapters.
  public init(_ names: [String], task: Int? = nil) { (self.names, self.task) = (names, task) }
}

/// Says which soft prompts stand before which rows of a pass, for batches whose requests want different ones.
public protocol PromptRouting: AnyObject {
  /// What stands before each of the `rows` rows of tokens that begin in the pass to come.
  func prompts(beforeRows rows: Int) throws(TorchError) -> [PromptChoice]
  /// Told how many virtual tokens pass through the layers before each of those rows, besides its own tokens.
  func widen(by virtual: [Int])
}
