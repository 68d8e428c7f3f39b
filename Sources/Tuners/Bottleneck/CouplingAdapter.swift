import NN
import Torch

/// An invertible map of what enters the first layer, which adapts the token table to a language: two halves, each shifted by what a small
/// network makes of the other. Dinh et al., arXiv:1410.8516; as part of an adapter Pfeiffer et al., arXiv:2005.00052.
///
///     y₁ = x₁ + F(x₂)        y₂ = x₂ + G(y₁)
final class CouplingAdapter: Module, InputAdapter, LearntModule {
  @Child("F") private var first: CouplingNetwork
  @Child("G") private var second: CouplingNetwork
  private let sizes: [Int]

  /// A new map over `size` features.
  init(_ settings: BottleneckConfiguration, size: Int, device: Device) throws(TorchError) {
    sizes = [size / 2, size - size / 2]
    super.init()
    first = try CouplingNetwork(sizes[1], sizes[0], settings, device: device)
    second = try CouplingNetwork(sizes[0], sizes[1], settings, device: device)
  }

  func forward(_ rows: Tensor) throws(TorchError) -> Tensor {
    let halves = try rows.split(-1, sizes)
    let left = try halves[0] + first.forward(halves[1])
    return try .concatenated([left, try halves[1] + second.forward(left)], -1)
  }

  var owned: [(name: String, value: Tensor, learns: Bool)] { parameters().map { ($0.path, $0.value, true) } }
}

/// Two maps with a function between them.
private final class CouplingNetwork: Module {
  @Child("0") private var down: DenseMap
  @Child("2") private var up: DenseMap
  private let activation: Activation

  init(_ inputs: Int, _ outputs: Int, _ settings: BottleneckConfiguration, device: Device) throws(TorchError) {
    activation = settings.activation
    let inner = max(1, Int((Double(inputs) / settings.couplingReduction).rounded(.down)))
    super.init()
    down = try DenseMap(inputs, inner, start: .normal, isUp: false, device: device)
    up = try DenseMap(inner, outputs, start: .normal, isUp: true, device: device)
  }

  func forward(_ x: Tensor) throws(TorchError) -> Tensor { try up.forward(try activation(try down.forward(x))) }
}
