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

  /// Nothing is there yet.
  public init() { super.init { $0 } }

  /// Virtual tokens before each row as things stand.
  public var count: Int { activeModules.reduce(0) { $0 + $1.count } }

  /// What stands before `rows` rows of tokens: keys and values by layer, and rows [S, n, d] behind them.
  ///
  /// - Throws: `TorchError` where the tasks are not as many as the rows.
  func virtualTokens(rows: Int, tasks: [Int], layers: Int) throws(TorchError) -> (prefix: [KeyValueRows], rows: Tensor?) {
    guard tasks.isEmpty || tasks.count == rows else {
      throw TorchError(operation: "virtual_tokens", message: "\(tasks.count) tasks for \(rows) rows of tokens")
    }
    let tasks = tasks.isEmpty ? Array(repeating: task, count: rows) : tasks
    var prefixes: [[KeyValueRows]] = []
    var parts: [Tensor] = []
    for prompt in activeModules {
      switch try prompt.virtualTokens(rows: rows, tasks: tasks) {
      case .rows(let rows): parts.append(rows)
      case .keysAndValues(let prefix):
        guard prefix.count == layers else {
          throw TorchError(operation: "virtual_tokens", message: "keys and values for \(prefix.count) of \(layers) layers")
        }
        prefixes.append(prefix)
      }
    }
    return (try KeyValueRows.joined(prefixes), parts.count > 1 ? try .concatenated(parts, 1) : parts.first)
  }
}

extension KeyValueRows {
  /// n.
  var count: Int { keys.shape.first ?? 0 }

  /// The prefixes one behind the other, layer by layer.
  fileprivate static func joined(_ prefixes: [[KeyValueRows]]) throws(TorchError) -> [KeyValueRows] {
    guard let first = prefixes.first, prefixes.count > 1 else { return prefixes.first ?? [] }
    var joined: [KeyValueRows] = []
    for layer in first.indices {
      joined.append(
        KeyValueRows(
          keys: try .concatenated(prefixes.map { $0[layer].keys }, 0),
          values: try .concatenated(prefixes.map { $0[layer].values }, 0)))
    }
    return joined
  }

  /// Keys and values [T, Hk, D] of segments with these before those of each: [T + S·n, Hk, D].
  func before(_ k: Tensor, _ v: Tensor, segments: [Int]) throws(TorchError) -> (keys: Tensor, values: Tensor) {
    (try Self.interleaved(keys, k, segments), try Self.interleaved(values, v, segments))
  }

  /// One copy of `prefix` for each segment, so that its gradient is summed in its own element type.
  private static func interleaved(_ prefix: Tensor, _ own: Tensor, _ segments: [Int]) throws(TorchError) -> Tensor {
    let shape = prefix.shape
    let copies = try prefix.unsqueezed(0).expanded(segments.count, shape[0], shape[1], shape[2]).to(own.dtype)
    var parts: [Tensor] = []
    for (index, part) in try own.split(0, segments).enumerated() { parts += [try copies.selected(0, index), part] }
    return try .concatenated(parts, 0)
  }
}
