import Torch

/// What an adapter puts behind a part of a layer: behind attention, or behind the feed-forward part.
public protocol SublayerAdapter: Module {
  /// What is added to the stream in the place of what the part gave.
  ///
  /// - Parameters:
  ///   - output: what the part gave [B, S, d].
  ///   - stream: the sum that it is added to, which the part began from [B, S, d].
  func forward(_ output: Tensor, onto stream: Tensor) throws(TorchError) -> Tensor
}

/// The place behind a part of a layer. Where nothing is at work there it costs nothing.
public final class SublayerAdapters: AdapterPlace<any SublayerAdapter> {
  /// Nothing is there yet.
  public init() { super.init { $0 } }

  /// Changes what is pending in the stream, each adapter at work seeing what those before it left.
  public func apply(to stream: inout ResidualStream) throws(TorchError) {
    guard !activeModules.isEmpty, var output = stream.pending else { return }
    for adapter in activeModules { output = try adapter.forward(output, onto: stream.sum) }
    stream.pending = output
  }
}
