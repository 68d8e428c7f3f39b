import Torch

/// What an adapter puts behind a part of a layer: behind attention, or behind the feed-forward part.
public protocol SublayerAdapter: Module {
  /// What is added to the stream in the place of what the part gave.
  ///
  /// - Parameters:
  ///   - output: what the part gave [.., d].
  ///   - stream: the sum that it is added to, which the part began from [.., d].
  func forward(_ output: Tensor, onto stream: Tensor) throws(TorchError) -> Tensor
}

/// Says which adapters work on which rows of a pass.
public protocol SublayerRouting: AnyObject {
  /// What is added to the stream in the place of what a part gave [B, S, d], where each row has adapters of its own.
  func forward(_ output: Tensor, onto stream: Tensor, at place: SublayerAdapters) throws(TorchError) -> Tensor
}

/// The place behind a part of a layer. Where nothing is at work there it costs nothing.
public final class SublayerAdapters: AdapterPlace<any SublayerAdapter> {
  /// How strongly those take part that do not with 1.
  private var weights: [String: Double] = [:]
  /// Which of them work on which rows; nil where those that are active work on all.
  public var routing: (any SublayerRouting)?

  /// Nothing is there yet.
  public init() { super.init { $0 } }

  /// Says how strongly an adapter takes part: with w, what it changes is added w times.
  public func weigh(_ name: String, _ weight: Double) { weights[name] = weight == 1 ? nil : weight }

  /// Changes what is pending in the stream, each adapter at work seeing what those before it left.
  public func apply(to stream: inout ResidualStream) throws(TorchError) {
    guard routing != nil || !active.isEmpty, let output = stream.pending else { return }
    if let routing {
      stream.pending = try routing.forward(output, onto: stream.sum, at: self)
    } else {
      stream.pending = try forward(output, onto: stream.sum, through: active.map { ($0, weights[$0] ?? 1) })
    }
  }

  /// What is added to the stream with these adapters at work, in order; those that have nothing here change nothing.
  ///
  /// - Parameters:
  ///   - output: what the part gave [.., d].
  ///   - stream: the sum that it is added to [.., d].
  ///   - uses: the adapters by name, and how strongly each takes part.
  public func forward(
    _ output: Tensor, onto stream: Tensor, through uses: [(name: String, weight: Double)]
  ) throws(TorchError) -> Tensor {
    var output = output
    for (name, weight) in uses {
      guard let adapter = installed.first(where: { $0.name == name })?.module else { continue }
      let changed = try adapter.forward(output, onto: stream)
      output = try weight == 1 ? changed : output + (changed - output) * weight
    }
    return output
  }
}
