import NN
import OrderedCollections
import Text
import Torch

/// Training of the norms alone. Zhao et al., arXiv:2312.11420.
public struct LNTuningConfiguration: TuningMethod, Hashable {
  /// The norms that are trained; by default those of the layers and the last one, without those of queries and keys.
  public var targets: TargetModules = .names(["input_layernorm", "post_attention_layernorm", "norm", "ln_1", "ln_2", "ln_f"])
  /// What is left out.
  public var excluded: TargetModules?
  /// Modules trained whole and saved with the adapter.
  public var modulesToSave: [String] = []

  /// The defaults.
  public init() {}

  /// `ln_tuning`.
  public static var name: String { "ln_tuning" }
  /// `LN_TUNING`.
  public static var peftType: String? { "LN_TUNING" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [
      .targets("target_modules", \.targets), .targets("exclude_modules", \.excluded),
      .strings("modules_to_save", \.modulesToSave),
    ]
  }

  /// Puts copies of the norms into `model`; its output stays as it was.
  public func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter {
    let norms = model.norms()
    let resolver = TargetResolver(targets, excluded: excluded, kind: "norm")
    let paths = try resolver.resolve(norms, strict: strict && targets != Self().targets)
    let overlay = ParameterOverlay()
    for (path, slot, _) in model.parameters() {
      let (module, leaf) = (path.modulePath, path.split(separator: ".").last ?? "")
      if paths.contains(module) { try overlay.add("\(module).ln_tuning_layers.\(leaf)", slot) }
    }
    try overlay.add(modules: modulesToSave, of: model)
    return Adapter(name: name, configuration: self, parts: [overlay])
  }

  /// The settings as PEFT writes them, with the paths of the norms that were found.
  public func adapterConfig(for adapter: Adapter) throws -> OrderedDictionary<String, JSON> {
    var config = savedSettings
    var paths: [String] = []
    for (path, _) in adapter.parameters where path.contains(".ln_tuning_layers.") {
      let module = path.split(separator: ".").dropLast(2).joined(separator: ".")
      if !paths.contains(module) { paths.append(module) }
    }
    config["target_modules"] = .array(paths.map(JSON.string))
    return config
  }
}
