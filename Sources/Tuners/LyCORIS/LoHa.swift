import NN
import OrderedCollections
import Text
import Torch

/// Hadamard product of two low-rank products: ΔW = s·(w₁ₐ·w₁ᵦ) ∘ (w₂ₐ·w₂ᵦ), s = α/r. Hyeon-Woo et al., arXiv:2108.06098; Yeh et al.,
/// arXiv:2309.14859.
public struct LoHaConfiguration: ProjectionMethod, Hashable {
  /// Rank of each of the two products, from 1.
  public var r = 8
  /// Numerator of the scale α/r.
  public var alpha = 8.0
  /// Ranks of their own, by pattern of path.
  public var rankPattern: OrderedDictionary<String, Int> = [:]
  /// Alphas of their own, by pattern of path.
  public var alphaPattern: OrderedDictionary<String, Double> = [:]
  /// Dropout in training.
  var drops = ComposedDropout()
  /// What is adapted.
  public var targets: TargetModules = .allLinear
  /// What is left out.
  public var excluded: TargetModules?
  /// Layers to adapt; nil for all.
  public var layers: [Int]?
  /// The name of the list of layers where it is not clear.
  public var layersPattern: String?
  /// Modules trained whole and saved with the adapter.
  public var modulesToSave: [String] = []

  /// The defaults of PEFT, but on all linear layers.
  public init() {}

  /// `loha`.
  public static var name: String { "loha" }
  /// `LOHA`.
  public static var peftType: String? { "LOHA" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [
      .int("r", \.r, in: 1...65536), .double("alpha", \.alpha, in: 1e-9...1e9), .counts("rank_pattern", \.rankPattern),
      .numbers("alpha_pattern", \.alphaPattern), .double("rank_dropout", \.drops.rows, in: 0...0.999),
      .double("module_dropout", \.drops.modules, in: 0...0.999),
    ] + targetSettings
  }

  /// Puts a new adapter into `model`; its output stays as it was.
  public func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter {
    try install(in: model, named: name, strict: strict) { path, projection in
      let (rank, alpha) = try ranked(path, r, rankPattern, alpha, alphaPattern)
      return try LoHaDelta(for: projection, rank: rank, scale: alpha / Double(rank), drops: drops, device: model.device)
    }
  }

  /// Takes the settings out of an `adapter_config.json`.
  public mutating func read(adapterConfig reader: AdapterConfigReader) throws {
    try requireTargets(reader)
    try readSettings(reader)
  }

  /// The settings as PEFT writes them.
  public func adapterConfig(for adapter: Adapter) throws -> OrderedDictionary<String, JSON> {
    var config = savedSettings
    addModules(of: adapter, to: &config)
    config["fan_in_fan_out"] = nil
    return config
  }
}

/// Four small matrices of one projection; w₂ᵦ starts at 0.
final class LoHaDelta: Module, ComposedDelta {
  @Param("hada_w1_a") var firstLeft: Tensor
  @Param("hada_w1_b") var firstRight: Tensor
  @Param("hada_w2_a") var secondLeft: Tensor
  @Param("hada_w2_b") var secondRight: Tensor
  private let scale: Double
  let drops: ComposedDropout

  init(for base: any Projection, rank: Int, scale: Double, drops: ComposedDropout, device: Device) throws(TorchError) {
    (self.scale, self.drops) = (scale, drops)
    super.init()
    firstLeft = try .kaimingUniform([base.outputSize, rank], device: device)
    firstRight = try .kaimingUniform([rank, base.inputSize], device: device)
    secondLeft = try .kaimingUniform([base.outputSize, rank], device: device)
    secondRight = try .zeros([rank, base.inputSize], device: device)
  }

  func weightDelta() throws(TorchError) -> Tensor {
    try firstLeft.matmul(firstRight) * secondLeft.matmul(secondRight) * scale
  }

  /// ΔW as a product of rank r²: of the rows of w₁ᵦ and w₂ᵦ every two are multiplied number by number, and so are the columns of
  /// w₁ₐ and w₂ₐ. Nil where r² is so large that ΔW itself is less work.
  private func product() throws(TorchError) -> LowRankUpdate? {
    let (out, rank, input) = (firstLeft.shape[0], firstLeft.shape[1], firstRight.shape[1])
    guard rank * rank * (out + input) < out * input else { return nil }
    return LowRankUpdate(
      a: try (firstRight.unsqueezed(1) * secondRight.unsqueezed(0)).reshaped(rank * rank, input),
      b: try (firstLeft.unsqueezed(2) * secondLeft.unsqueezed(1)).reshaped(out, rank * rank), scale: scale, dropout: 0)
  }

  func lowRankUpdate() throws(TorchError) -> LowRankUpdate? { isDropping ? nil : try product() }

  func change(_ x: Tensor) throws(TorchError) -> Tensor {
    guard let update = try product() else { return try x.linear(try weightDelta().to(x.dtype)) }
    return try (try x.linear(try update.a.to(x.dtype)) * scale).linear(try update.b.to(x.dtype))
  }

  var trained: [(name: String, slot: ParameterSlot)] {
    [("hada_w1_a", $firstLeft), ("hada_w1_b", $firstRight), ("hada_w2_a", $secondLeft), ("hada_w2_b", $secondRight)]
  }
}

/// The rank and the alpha of the projection at `path`.
func ranked(
  _ path: String, _ r: Int, _ ranks: OrderedDictionary<String, Int>, _ alpha: Double, _ alphas: OrderedDictionary<String, Double>
) throws(TunerError) -> (rank: Int, alpha: Double) {
  let rank = try value(of: ranks.elements.map { ($0.key, $0.value) }, for: path, key: "rank_pattern") ?? r
  return (rank, try value(of: alphas.elements.map { ($0.key, $0.value) }, for: path, key: "alpha_pattern") ?? alpha)
}
