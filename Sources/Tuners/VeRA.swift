import NN
import OrderedCollections
import Text
import Torch

/// Vectors on a random low-rank product that all projections share: y = W·x + λ_b ∘ (B·(λ_d ∘ (A·dropout(x)))). Kopiczko et al.,
/// arXiv:2310.11454.
///
/// A [r, in] and B [out, r] are cut out of one pair for the largest projection, and stay as they are drawn.
public struct VeRAConfiguration: ProjectionMethod, Hashable {
  /// Rank of the shared product, from 1.
  public var r = 256
  /// Share of inputs dropped before A in training, 0 ..< 1.
  public var dropout = 0.0
  /// What λ_d starts at.
  public var initial = 0.1
  /// Where the random numbers of A and B start.
  public var seed = 0
  /// Whether A and B are saved; otherwise they are drawn again from the seed.
  public var savesProjection = true
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

  /// `vera`.
  public static var name: String { "vera" }
  /// `VERA`.
  public static var peftType: String? { "VERA" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [
      .int("r", \.r, in: 1...65536), .double("dropout", \.dropout, in: 0...0.999, peft: "vera_dropout"),
      .double("d_initial", \.initial, in: -1e3...1e3), .int("projection_prng_key", \.seed, in: 0...Int(Int32.max)),
      .bool("save_projection", \.savesProjection),
    ] + targetSettings
  }

  /// Puts a new adapter into `model`; its output stays as it was.
  public func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter {
    var shared: SharedProjection?
    return try install(
      in: model, named: name, strict: strict,
      others: { paths, _ in
        let targets = model.projections().filter { paths.contains($0.path) }.map(\.slot.value)
        let made = try SharedProjection(self, targets, device: model.device)
        shared = made
        return [made]
      }
    ) { _, projection in
      guard let shared else { throw TunerError("VeRA's shared matrices were not made") }
      return try VeRADelta(for: projection, shared, self, device: model.device)
    }
  }

  /// Takes the settings out of an `adapter_config.json`.
  public mutating func read(adapterConfig reader: AdapterConfigReader) throws {
    if let bias = try reader.string("bias"), bias != "none" {
      throw reader.error("bias", "is “\(bias)”, which Attune cannot apply; its result would be wrong without it")
    }
    try requireTargets(reader)
    try readSettings(reader)
  }

  /// The settings as PEFT writes them.
  public func adapterConfig(for adapter: Adapter) throws -> OrderedDictionary<String, JSON> {
    var config = savedSettings
    addModules(of: adapter, to: &config)
    // PEFT has no key for what is left out, so what is left is named.
    config["exclude_modules"] = nil
    if excluded != nil { config["target_modules"] = .array(adapter.deltas.map { .string($0.path) }) }
    return config
  }
}

/// A and B of all projections of one adapter.
private final class SharedProjection: AdapterPart {
  /// A [r, the most features that go into a target].
  let a: Tensor
  /// B [the most features that come out of a target, r].
  let b: Tensor
  private let isSaved: Bool

  init(_ settings: VeRAConfiguration, _ targets: [any Projection], device: Device) throws {
    let (most, widest) = (targets.map(\.inputSize).max() ?? 0, targets.map(\.outputSize).max() ?? 0)
    let made = [try Tensor.empty([settings.r, most]), try Tensor.empty([widest, settings.r])]
    // Drawn as PEFT draws them, from a generator that the run's own numbers do not depend on.
    let state = try RandomState.capture()
    try RandomState.seed(UInt64(settings.seed))
    for matrix in made {
      let bound = (6 / Double(matrix.shape[1])).squareRoot()
      try matrix.uniformInPlace(-bound, bound)
    }
    try RandomState.restore(state)
    (a, b) = (try made[0].to(device), try made[1].to(device))
    isSaved = settings.savesProjection
  }

  var trained: [(path: String, value: Tensor)] { [] }
  var saved: [SavedTensor] { isSaved ? [SavedTensor("base_model.vera_A", a), SavedTensor("base_model.vera_B", b)] : [] }
  func activate(_ on: Bool) {}
  func remove() {}
  func merge() throws -> () -> Void { {} }
}

/// The two vectors of one projection.
private final class VeRADelta: Module, AdapterDelta {
  @Param("vera_lambda_b") var outer: Tensor
  @Param("vera_lambda_d") var inner: Tensor
  private let shared: SharedProjection
  private let (inputSize, outputSize): (Int, Int)
  private let dropout: Double

  init(for base: any Projection, _ shared: SharedProjection, _ settings: VeRAConfiguration, device: Device) throws(TorchError) {
    (self.shared, inputSize, outputSize, dropout) = (shared, base.inputSize, base.outputSize, settings.dropout)
    super.init()
    outer = try .zeros([base.outputSize], device: device)
    inner = try .full([settings.r], settings.initial, device: device)
  }

  private func update() throws(TorchError) -> LowRankUpdate {
    LowRankUpdate(
      a: try shared.a.narrowed(1, 0..<inputSize) * inner.unsqueezed(1),
      b: try shared.b.narrowed(0, 0..<outputSize) * outer.unsqueezed(1), scale: 1, dropout: isTraining ? dropout : 0)
  }

  func lowRankUpdate() throws(TorchError) -> LowRankUpdate? { try update() }

  /// None while the vectors learn: the base's product would make the gradients of whole matrices, of which they need sums alone.
  func fusedUpdate() throws(TorchError) -> LowRankUpdate? { inner.requiresGradient ? nil : try update() }

  func forward(_ x: Tensor, through base: any Projection) throws(TorchError) -> Tensor {
    if let update = try fusedUpdate() { return try base.forward(x, plus: update) }
    let a = try shared.a.narrowed(1, 0..<inputSize).contiguous().to(x.dtype)
    let b = try shared.b.narrowed(0, 0..<outputSize).to(x.dtype)
    let kept = isTraining ? try x.dropout(dropout) : x
    let low = try (try kept.linear(a) * inner).to(x.dtype)
    let change = try (try low.linear(b) * outer).to(x.dtype)
    return try base.forward(x) + change
  }

  func merged(into base: any Projection) throws(TorchError) -> any Projection {
    let update = try update()
    return try base.adding(try update.b.matmul(update.a))
  }

  var trained: [(name: String, slot: ParameterSlot)] { [("vera_lambda_b", $outer), ("vera_lambda_d", $inner)] }
}
