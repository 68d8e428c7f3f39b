import NN
import OrderedCollections
import Text
import Torch

/// Low-rank adaptation whose ranks are shared out among projections by importance in the course of training: y = W·x +
/// s·B·(E ∘ A)·dropout(x), s = α/(r + 1e-5). Zhang et al., arXiv:2303.10512.
///
/// Triplets of a row of A, a number of E and a column of B that matter least have their E set to 0, down to `targetRank` for each
/// projection on average.
public struct AdaLoRAConfiguration: ProjectionMethod, Hashable {
  /// Rank at the start, from 1.
  public var initialRank = 12
  /// Rank at the end, on average.
  public var targetRank = 8
  /// Numerator of the scale.
  public var alpha = 8.0
  /// Share of inputs dropped before A in training, 0 ..< 1.
  public var dropout = 0.0
  /// Steps before the first triplet is taken away.
  public var initialSteps = 0
  /// Steps after the last.
  public var finalSteps = 0
  /// Steps from one sharing out to the next.
  public var interval = 1
  /// Decay of the mean of sensitivities.
  public var beta1 = 0.85
  /// Decay of the mean of their uncertainties.
  public var beta2 = 0.85
  /// Weight of what keeps A and B near orthonormal, which each step's loss has added.
  public var orthogonality = 0.5
  /// Steps in all; nil for those of the run.
  public var totalSteps: Int?
  /// Which triplets are left, by path, once that is settled.
  public var kept: OrderedDictionary<String, [Bool]> = [:]
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

  /// `adalora`.
  public static var name: String { "adalora" }
  /// `ADALORA`.
  public static var peftType: String? { "ADALORA" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [
      .int("init_r", \.initialRank, in: 1...65536), .int("target_r", \.targetRank, in: 1...65536),
      .double("alpha", \.alpha, in: 1e-9...1e9, peft: "lora_alpha"),
      .double("dropout", \.dropout, in: 0...0.999, peft: "lora_dropout"), .int("tinit", \.initialSteps, in: 0...1 << 40),
      .int("tfinal", \.finalSteps, in: 0...1 << 40), .int("delta_t", \.interval, in: 1...1 << 40, peft: "deltaT"),
      .double("beta1", \.beta1, in: 1e-6...0.999999), .double("beta2", \.beta2, in: 1e-6...0.999999),
      .double("orth_reg_weight", \.orthogonality, in: 0...1e6), .int("total_step", \.totalSteps, in: 1...1 << 40),
    ] + targetSettings
  }

  /// Checks that the rank goes down.
  public func validate() throws(TunerError) {
    guard targetRank <= initialRank else { throw TunerError("target_r is \(targetRank), more than init_r \(initialRank)") }
    try validateTargets()
  }

  /// Puts a new adapter into `model`; its output stays as it was.
  public func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter {
    try install(
      in: model, named: name, strict: strict,
      companion: { deltas in
        let own = deltas.compactMap { path, delta in (delta as? AdaLoRADelta).map { (path, $0) } }
        return kept.isEmpty ? try RankAllocator(self, own) : nil
      }
    ) { path, projection in
      let rank = kept[path].map { $0.count(where: \.self) } ?? initialRank
      // What was taken away does not change the scale of what is left.
      let scale = alpha / (Double(initialRank) + 1e-5)
      return try AdaLoRADelta(for: projection, rank: rank, scale: scale, dropout: dropout, device: model.device)
    }
  }

  /// Takes the settings out of an `adapter_config.json`.
  public mutating func read(adapterConfig reader: AdapterConfigReader) throws {
    try reader.refuse(["use_dora", "use_rslora", "layer_replication", "target_parameters", "trainable_token_indices"])
    if let bias = try reader.string("bias"), bias != "none" { try reader.refuse(["bias"]) }
    try requireTargets(reader)
    try readSettings(reader)
    for (key, value) in reader.value("rank_pattern")?.object ?? [:] {
      let flags = (value.array ?? []).compactMap(\.bool)
      let path = key.hasSuffix(".lora_E") ? String(key.dropLast(".lora_E".count)) : key
      guard flags.count == initialRank else {
        throw reader.error("rank_pattern.\(key)", "must say of \(initialRank) triplets which are left")
      }
      kept[path] = flags
    }
  }

  /// The settings as PEFT writes them, with the triplets that are left.
  public func adapterConfig(for adapter: Adapter) throws -> OrderedDictionary<String, JSON> {
    var config = savedSettings
    addModules(of: adapter, to: &config)
    let allocator = adapter.companion as? RankAllocator
    config["total_step"] = .int(allocator?.totalSteps ?? totalSteps ?? 1)
    let kept = allocator?.kept ?? kept
    let pattern = OrderedDictionary(uniqueKeysWithValues: kept.map { ("\($0.key).lora_E", JSON.array($0.value.map(JSON.bool))) })
    config["rank_pattern"] = pattern.isEmpty ? .null : .object(pattern)
    return config
  }
}

/// The triplets of one projection. E starts at 0.
final class AdaLoRADelta: Module, AdapterDelta {
  /// A [r, in].
  @Param("lora_A") var a: Tensor
  /// B [out, r].
  @Param("lora_B") var b: Tensor
  /// E [r, 1].
  @Param("lora_E") var e: Tensor
  /// Which triplets are left, once that is settled: the others are not saved.
  var kept: [Bool]?
  private let scale: Double
  private let dropout: Double

  init(for base: any Projection, rank: Int, scale: Double, dropout: Double, device: Device) throws(TorchError) {
    (self.scale, self.dropout) = (scale, dropout)
    super.init()
    a = try .empty([rank, base.inputSize], device: device)
    b = try .empty([base.outputSize, rank], device: device)
    for matrix in [a, b] where rank > 0 { try matrix.normalInPlace(standardDeviation: 0.02) }
    e = try .zeros([rank, 1], device: device)
  }

  private func update() throws(TorchError) -> LowRankUpdate? {
    guard a.shape[0] > 0 else { return nil }
    return LowRankUpdate(a: try a * e, b: b, scale: scale, dropout: isTraining ? dropout : 0)
  }

  func lowRankUpdate() throws(TorchError) -> LowRankUpdate? { try update() }

  func forward(_ x: Tensor, through base: any Projection) throws(TorchError) -> Tensor {
    guard let update = try update() else { return try base.forward(x) }
    return try base.forward(x, plus: update)
  }

  func merged(into base: any Projection) throws(TorchError) -> any Projection {
    try base.adding(try b.matmul(try a * e) * scale)
  }

  var trained: [(name: String, slot: ParameterSlot)] {
    a.shape[0] > 0 ? [("lora_A", $a), ("lora_B", $b), ("lora_E", $e)] : []
  }

  var saved: [SavedTensor] { [sliced("lora_A", a, 0), sliced("lora_B", b, 1), sliced("lora_E", e, 0)] }

  /// A tensor of which only the triplets that are left are saved. The others are 0 for good, but for what they go on learning.
  private func sliced(_ name: String, _ tensor: Tensor, _ dim: Int) -> SavedTensor {
    guard let kept, kept.contains(false) else { return SavedTensor(name, tensor) }
    let rows = kept.indices.filter { kept[$0] }
    var shape = tensor.shape
    shape[dim] = rows.count
    let indices = { () throws(TorchError) in try Tensor(rows.map(Int64.init)).to(tensor.device) }
    return SavedTensor(
      name, shape: shape, value: { () throws(TorchError) in try tensor.indexed(dim, try indices()) },
      restore: { source throws(TorchError) in
        var index = try indices().reshaped(dim == 0 ? [rows.count, 1] : [1, rows.count])
        index = try index.expanded(shape)
        try tensor.copyInPlace(try tensor.scattered(dim, index, source))
      })
  }
}
