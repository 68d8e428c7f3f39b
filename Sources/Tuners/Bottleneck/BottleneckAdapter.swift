import NN
import Torch

/// A module with what an adapter's files and training need of it.
protocol LearntModule: Module {
  /// Its numbers, under the names that follow the path of its place, and whether they are learnt.
  var owned: [(name: String, value: Tensor, learns: Bool)] { get }
}

/// A bottleneck behind a part of a layer.
final class BottleneckAdapter: Module, SublayerAdapter, LearntModule {
  @Child("adapter_down.0") private var down: BottleneckMap
  @Child("adapter_up") private var up: BottleneckMap
  /// s [1] or [d], where it is learnt.
  @Param("scaling") private var scale: Tensor?
  private let settings: BottleneckConfiguration

  /// A new bottleneck over `size` features.
  ///
  /// - Parameter rules: those that all its maps share, where they are made of smaller ones.
  /// - Throws: ``TunerError`` where the sizes do not fit.
  init(_ settings: BottleneckConfiguration, size: Int, rules: HypercomplexRules?, device: Device) throws {
    self.settings = settings
    super.init()
    let inner = settings.innerSize(size)
    func map(_ inputs: Int, _ outputs: Int, isUp: Bool) throws -> BottleneckMap {
      guard let hypercomplex = settings.hypercomplex else {
        return try DenseMap(inputs, outputs, start: settings.start, isUp: isUp, device: device)
      }
      return try HypercomplexMap(inputs, outputs, hypercomplex, rules: rules, device: device)
    }
    down = try map(size, inner, isUp: false)
    up = try map(inner, size, isUp: true)
    switch settings.scaling {
    case .fixed: scale = nil
    case .learned: scale = try .ones([1], device: device)
    case .channel: scale = try .ones([size], device: device)
    }
  }

  var owned: [(name: String, value: Tensor, learns: Bool)] {
    let own = scale.map { [(name: "scaling", value: $0, learns: true)] } ?? []
    return own + down.owned.map { ("adapter_down.0.\($0.name)", $0.value, $0.learns) }
      + up.owned.map { ("adapter_up.\($0.name)", $0.value, $0.learns) }
  }

  /// What it sees of what a part gave and the stream that is added to.
  func input(_ output: Tensor, onto stream: Tensor) throws(TorchError) -> Tensor {
    switch settings.input {
    case .output: output
    case .sum: try stream + output
    case .stream: stream
    }
  }

  /// A(x): [.., d] → [.., d].
  func change(_ x: Tensor) throws(TorchError) -> Tensor {
    let whole = try up.forward(try settings.activation(try down.forward(x)))
    if let scale { return try (whole * scale).to(whole.dtype) }
    guard case .fixed(let number) = settings.scaling, number != 1 else { return whole }
    return try whole * number
  }

  func forward(_ output: Tensor, onto stream: Tensor) throws(TorchError) -> Tensor {
    let change = try change(try input(output, onto: stream))
    return try output + (isTraining ? try change.dropout(settings.dropout) : change)
  }
}
