import NN
import Torch

/// Bottlenecks side by side behind a part of a layer, mixed by attention.
final class FusedBottlenecks: Module, SublayerAdapter, LearntModule {
  @NamedChildren("adapters", asModule: { $0 }) private var bottlenecks: [(name: String, module: BottleneckAdapter)]
  @OptionalChild("query") private var query: Linear?
  @OptionalChild("key") private var key: Linear?
  @OptionalChild("value") private var value: Linear?
  private let settings: FusionConfiguration

  /// A new mixture over `size` features.
  ///
  /// - Parameters:
  ///   - settings: the method's.
  ///   - bottlenecks: two at least, by name.
  ///   - size: the model's features.
  ///   - identity: what V begins as; nil for N(0, 0.02²), as the others.
  ///   - device: where it is made.
  init(
    _ settings: FusionConfiguration, _ bottlenecks: [(name: String, module: BottleneckAdapter)], size: Int, identity: Tensor?,
    device: Device
  ) throws(TorchError) {
    self.settings = settings
    super.init()
    self.bottlenecks = bottlenecks
    func map(_ isThere: Bool, bias: Bool = true) throws(TorchError) -> Linear? {
      guard isThere else { return nil }
      let weight = try Tensor.empty([size, size], device: device)
      try weight.normalInPlace(standardDeviation: 0.02)
      return Linear(weight: weight, bias: bias ? try .zeros([size], device: device) : nil)
    }
    (query, key, value) = (try map(settings.mapsQueries), try map(settings.mapsKeys), try map(settings.mapsValues, bias: false))
    if let identity { value?.weight = try identity.clone() }
  }

  var owned: [(name: String, value: Tensor, learns: Bool)] {
    parameters().filter { !$0.path.hasPrefix("adapters.") }.map { ($0.path, $0.value, true) }
  }

  /// V [d, d].
  var valueWeight: Tensor? { value?.weight }

  func forward(_ output: Tensor, onto stream: Tensor) throws(TorchError) -> Tensor {
    guard let last = bottlenecks.last?.module else { return output }
    let x = try last.input(output, onto: stream)
    var changes: [Tensor] = []
    for (_, bottleneck) in bottlenecks { changes.append(try bottleneck.change(x)) }
    // [.., n, d].
    let all = try Tensor.stacked(changes, -2)
    let asked = settings.queriesOutput ? output : x
    let queries = if let query { try query.forward(asked) } else { asked }
    let keys = if let key { try key.forward(all) } else { all }
    var scores = try (queries.unsqueezed(-2) * keys).to(.float32).sum(-1)
    if isTraining { scores = try scores.dropout(settings.dropout) }
    let shares = try scores.softmax(-1).to(output.dtype).unsqueezed(-1)
    guard let value else { return try output + (all * shares).sum(-2) }
    if settings.mapsEachValue { return try output + (value.forward(all) * shares).sum(-2) }
    return try output + value.forward((all * shares).sum(-2))
  }
}

extension Tensor {
  /// The identity [n, n], with another number beside the diagonal.
  static func identity(_ size: Int, beside other: Float = 0) throws(TorchError) -> Tensor {
    var numbers = [Float](repeating: other, count: size * size)
    for index in 0..<size { numbers[index * size + index] = 1 }
    return try Tensor(numbers, shape: [size, size])
  }
}

/// 0.01·Σ‖V − 1‖² over all places: it keeps V near the identity, which adds the adapters' results up as they are.
final class NearIdentityPenalty: TrainingCompanion {
  private let modules: [FusedBottlenecks]
  private let identity: Tensor

  /// - Parameters:
  ///   - modules: what holds V, in each place.
  ///   - identity: [d, d].
  init(_ modules: [FusedBottlenecks], identity: Tensor) { (self.modules, self.identity) = (modules, identity) }

  func begin(totalSteps: Int) {}

  func penalty() throws -> Tensor? {
    let distances = try modules.compactMap(\.valueWeight).map { try ($0 - identity).pow(2).sum() }
    guard var sum = distances.first else { return nil }
    for distance in distances.dropFirst() { sum = try sum + distance }
    return try sum * 0.01
  }

  func stepped(_ step: Int, gradientScale: Double) {}
  var state: [SavedTensor] { [] }
}
