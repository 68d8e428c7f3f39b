import Torch

/// Keys and values [n, Hk, D] that stand before those of a row's own tokens in one layer.
public struct KeyValueRows {
  /// As attention sees them: positions are not turned into them any more.
  public var keys: Tensor
  /// What they give.
  public var values: Tensor

  /// Keys and values of equally many places.
  public init(keys: Tensor, values: Tensor) { (self.keys, self.values) = (keys, values) }
}

/// What stands before the tokens of a row.
public enum VirtualTokens {
  /// Rows in the place of embeddings, [S, n, d] for S rows of tokens, which pass through all layers.
  case rows(Tensor)
  /// Keys and values of each layer, the same for every row of tokens.
  case keysAndValues([KeyValueRows])
}

/// Virtual tokens that an adapter learns and that stand before every row of tokens, where the row begins.
public protocol SoftPrompt: Module {
  /// How many there are.
  var count: Int { get }
  /// The virtual tokens themselves.
  ///
  /// - Parameters:
  ///   - rows: how many rows of tokens they stand before.
  ///   - tasks: the task of each of those rows, which means nothing to prompts that know none.
  func virtualTokens(rows: Int, tasks: [Int]) throws(TorchError) -> VirtualTokens
}

/// The place in a model for soft prompts: the first at work stands first in a row.
public final class SoftPrompts: AdapterPlace<any SoftPrompt> {
  /// The task of rows of which nobody says one.
  public var task = 0
  /// Which of them stand before which rows; nil where those that are active stand before all.
  public var routing: (any PromptRouting)?

  /// Nothing is there yet.
  public init() { super.init { $0 } }

  /// Virtual tokens before each row as things stand.
  public var count: Int { count(of: active) }

  /// Virtual tokens of these adapters.
  public func count(of names: [String]) -> Int { modules(named: names).reduce(0) { $0 + $1.count } }

  /// The soft prompts of these adapters that have one, in their order.
  func modules(named names: [String]) -> [any SoftPrompt] {
    names.compactMap { name in installed.first { $0.name == name }?.module }
  }
}
