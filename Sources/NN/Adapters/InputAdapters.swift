import Torch

/// What an adapter puts before the first layer.
public protocol InputAdapter: Module {
  /// What enters the first layer in the place of `rows`: [B, S, d] → [B, S, d].
  func forward(_ rows: Tensor) throws(TorchError) -> Tensor
}

/// The place before the first layer. Of several adapters at work there the first counts, as in AdapterHub: that of a language stands
/// below that of a task.
public final class InputAdapters: AdapterPlace<any InputAdapter> {
  /// Nothing is there yet.
  public init() { super.init { $0 } }

  /// What enters the first layer.
  public func forward(_ rows: Tensor) throws(TorchError) -> Tensor {
    guard let first = activeModules.first else { return rows }
    return try first.forward(rows)
  }
}
