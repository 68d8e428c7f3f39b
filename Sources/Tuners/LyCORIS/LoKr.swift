import NN
import OrderedCollections
import Text
import Torch

/// Kronecker product of two small matrices, the larger of which may be a low-rank product: ΔW = s·w₁ ⊗ w₂, s = α/r. Yeh et al.,
/// arXiv:2309.14859.
public struct LoKrConfiguration: ProjectionMethod, Hashable {
  /// Rank of a factor that is a product, from 1.
  public var r = 8
  /// Numerator of the scale α/r.
  public var alpha = 8.0
  /// Ranks of their own, by pattern of path.
  public var rankPattern: OrderedDictionary<String, Int> = [:]
  /// Alphas of their own, by pattern of path.
  public var alphaPattern: OrderedDictionary<String, Double> = [:]
  /// Whether the smaller factor may be a low-rank product too.
  public var decomposesBoth = false
  /// The size of the smaller factor to come close to; −1 for the one nearest a square.
  public var factor = -1
  /// Dropout in training.
  var drops = ComposedDropout(scalesRows: false)
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

  /// `lokr`.
  public static var name: String { "lokr" }
  /// `LOKR`.
  public static var peftType: String? { "LOKR" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [
      .int("r", \.r, in: 1...65536), .double("alpha", \.alpha, in: 1e-9...1e9), .counts("rank_pattern", \.rankPattern),
      .numbers("alpha_pattern", \.alphaPattern), .bool("decompose_both", \.decomposesBoth),
      .int("decompose_factor", \.factor, in: -1...65536), .double("rank_dropout", \.drops.rows, in: 0...0.999),
      .double("module_dropout", \.drops.modules, in: 0...0.999), .bool("rank_dropout_scale", \.drops.scalesRows),
    ] + targetSettings
  }

  /// Puts a new adapter into `model`; its output stays as it was.
  public func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter {
    try install(in: model, named: name, strict: strict) { path, projection in
      let (rank, alpha) = try ranked(path, r, rankPattern, alpha, alphaPattern)
      let shape = KroneckerShape(inputSize: projection.inputSize, outputSize: projection.outputSize, factor: factor)
      return try LoKrDelta(
        shape, rank: rank, scale: alpha / Double(rank), decomposesBoth: decomposesBoth, drops: drops, device: model.device)
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

/// The sizes of the two factors: w₁ [out₁, in₁], w₂ [out₂, in₂], out = out₁·out₂, in = in₁·in₂, the first of each at most the second.
struct KroneckerShape: Hashable {
  let output: (first: Int, second: Int)
  let input: (first: Int, second: Int)

  init(inputSize: Int, outputSize: Int, factor: Int) {
    (output, input) = (Self.split(outputSize, factor), Self.split(inputSize, factor))
  }

  /// Two factors of `size`: the first is `factor` where that divides it, else the largest divisor at most `factor` on the way to a
  /// square.
  static func split(_ size: Int, _ factor: Int) -> (first: Int, second: Int) {
    if factor > 0, size % factor == 0 { return (factor, size / factor) }
    let limit = factor == -1 ? size : factor
    var (first, second) = (1, size)
    while first < second {
      guard let next = (first + 1...size).first(where: { size % $0 == 0 }) else { break }
      if next + size / next > first + second || next > limit { break }
      (first, second) = (next, size / next)
    }
    return (min(first, second), max(first, second))
  }

  static func == (a: Self, b: Self) -> Bool { a.output == b.output && a.input == b.input }
  func hash(into hasher: inout Hasher) {
    [output.first, output.second, input.first, input.second].forEach { hasher.combine($0) }
  }
}

/// The factors of one projection; w₁ starts at 0, or its left part does.
final class LoKrDelta: Module, ComposedDelta {
  @Param("lokr_w1") var first: Tensor?
  @Param("lokr_w1_a") var firstLeft: Tensor?
  @Param("lokr_w1_b") var firstRight: Tensor?
  @Param("lokr_w2") var second: Tensor?
  @Param("lokr_w2_a") var secondLeft: Tensor?
  @Param("lokr_w2_b") var secondRight: Tensor?
  private let shape: KroneckerShape
  private let scale: Double
  let drops: ComposedDropout

  init(
    _ shape: KroneckerShape, rank: Int, scale: Double, decomposesBoth: Bool, drops: ComposedDropout, device: Device
  ) throws(TorchError) {
    (self.shape, self.scale, self.drops) = (shape, scale, drops)
    super.init()
    if decomposesBoth, 2 * rank < max(shape.output.first, shape.input.first) {
      firstLeft = try .zeros([shape.output.first, rank], device: device)
      firstRight = try .kaimingUniform([rank, shape.input.first], device: device)
    } else {
      first = try .zeros([shape.output.first, shape.input.first], device: device)
    }
    if 2 * rank < max(shape.output.second, shape.input.second) {
      secondLeft = try .kaimingUniform([shape.output.second, rank], device: device)
      secondRight = try .kaimingUniform([rank, shape.input.second], device: device)
    } else {
      second = try .kaimingUniform([shape.output.second, shape.input.second], device: device)
    }
  }

  private func factor(_ whole: Tensor?, _ left: Tensor?, _ right: Tensor?) throws(TorchError) -> Tensor {
    if let whole { return whole }
    guard let left, let right else { throw TorchError(operation: "lokr", message: "a factor of the product is missing") }
    return try left.matmul(right)
  }

  private func factors() throws(TorchError) -> (first: Tensor, second: Tensor) {
    (try factor(first, firstLeft, firstRight), try factor(second, secondLeft, secondRight))
  }

  func weightDelta() throws(TorchError) -> Tensor {
    let (first, second) = try factors()
    let outer =
      try first.reshaped(shape.output.first, 1, shape.input.first, 1)
      * second.reshaped(1, shape.output.second, 1, shape.input.second)
    return try outer.reshaped(shape.output.first * shape.output.second, -1) * scale
  }

  /// Two small products in place of one with ΔW, which is not made: rows of x are matrices [in₁, in₂], and become w₁·X·w₂ᵀ.
  func change(_ x: Tensor) throws(TorchError) -> Tensor {
    let (first, second) = try factors()
    let leading = Array(x.shape.dropLast())
    let inner = try x.reshaped(-1, shape.input.first, shape.input.second).linear(try (second * scale).to(x.dtype))
    let outer = try inner.transposed().linear(try first.to(x.dtype)).transposed()
    return try outer.reshaped(leading + [shape.output.first * shape.output.second])
  }

  var trained: [(name: String, slot: ParameterSlot)] {
    [
      ("lokr_w1", $first), ("lokr_w1_a", $firstLeft), ("lokr_w1_b", $firstRight), ("lokr_w2", $second),
      ("lokr_w2_a", $secondLeft), ("lokr_w2_b", $secondRight),
    ]
  }
}
