import NN
import OrderedCollections
import Text
import Torch

/// Scaling of inner activations: y = (W·x + b) ∘ l, or y = W·(x ∘ l) + b in feed-forward parts. Liu et al., arXiv:2205.05638.
public struct IA3Configuration: ProjectionMethod, Hashable {
  /// What is adapted; by default keys, values and the last projection of each feed-forward part.
  public var targets: TargetModules = .names(["k_proj", "v_proj", "down_proj", "c_attn", "mlp.c_proj"])
  /// Those of the targets whose input is scaled.
  public var feedForward: TargetModules = .names(["down_proj", "mlp.c_proj"])
  /// What is left out.
  public var excluded: TargetModules?
  /// Not among the settings: PEFT's files have no place for it.
  public var layers: [Int]?
  /// Not among the settings: PEFT's files have no place for it.
  public var layersPattern: String?
  /// Modules trained whole and saved with the adapter.
  public var modulesToSave: [String] = []

  /// The defaults.
  public init() {}

  /// `ia3`.
  public static var name: String { "ia3" }
  /// `IA3`.
  public static var peftType: String? { "IA3" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [
      .targets("target_modules", \.targets), .targets("feedforward_modules", \.feedForward),
      .targets("exclude_modules", \.excluded), .strings("modules_to_save", \.modulesToSave),
    ]
  }

  /// Puts a new adapter into `model`; its output stays as it was.
  public func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter {
    let feedForward = try TargetMatcher(feedForward, key: "feedforward_modules")
    return try install(in: model, named: name, strict: strict) { path, projection in
      try IA3Delta(for: projection, scalesInput: feedForward.matches(path), device: model.device)
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
    let matcher = try TargetMatcher(feedForward, key: "feedforward_modules")
    config["feedforward_modules"] = .array(adapter.deltas.map(\.path).filter(matcher.matches).map(JSON.string))
    config["init_ia3_weights"] = true
    return config
  }
}

/// A vector that scales the outputs of a projection, or its inputs. It starts at 1.
final class IA3Delta: Module, AdapterDelta {
  /// l [out, 1], or [1, in].
  @Param("ia3_l") var scale: Tensor
  private let scalesInput: Bool

  init(for base: any Projection, scalesInput: Bool, device: Device) throws(TorchError) {
    self.scalesInput = scalesInput
    super.init()
    scale = try .ones(scalesInput ? [1, base.inputSize] : [base.outputSize, 1], device: device)
  }

  func forward(_ x: Tensor, through base: any Projection) throws(TorchError) -> Tensor {
    // The product is made in float32: bfloat16 has no numbers close enough to 1.
    let factor = try scale.reshaped(-1)
    if scalesInput { return try base.forward(try (x * factor).to(x.dtype)) }
    let y = try base.forward(x)
    return try (y * factor).to(y.dtype)
  }

  func merged(into base: any Projection) throws(TorchError) -> any Projection {
    let weight = try base.denseWeight()
    let factor = try scale.detached().reshaped(-1)
    let bias = scalesInput ? base.denseBias : try base.denseBias.map { bias throws(TorchError) in try bias * factor }
    return try base.replacing(
      weight: try (weight * scale).detached().to(weight.dtype), bias: try bias?.detached().to(weight.dtype))
  }

  var trained: [(name: String, slot: ParameterSlot)] { [("ia3_l", $scale)] }
}
