import NN
import OrderedCollections
import Text
import Torch

extension LoRAConfiguration {
  /// Puts a new adapter into `model`; its output stays as it was.
  public func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter {
    try install(
      in: model, named: name, strict: strict,
      others: { paths, overlay in
        try addBiases(to: overlay, of: model, adapted: paths)
        return []
      }
    ) { path, projection in
      try LoRADelta(
        for: projection, rank: try rank(path), scale: try scale(path), dropout: dropout, initialization: initialization,
        device: model.device)
    }
  }

  /// The biases that are trained along.
  private func addBiases(to overlay: ParameterOverlay, of model: any CausalLM, adapted: [String]) throws(TorchError) {
    for (path, slot, _) in model.parameters() where path.hasSuffix(".bias") && !path.contains(".adapters.") {
      let module = path.dropLast(".bias".count).replacing(".base_layer", with: "")
      // PEFT saves the bias of an adapted projection under the wrapper it then stands in.
      if adapted.contains(String(module)), bias != .none {
        try overlay.add(module + ".base_layer.bias", slot)
      } else if bias == .all {
        try overlay.add(module + ".bias", slot)
      }
    }
  }

  /// Takes the settings out of an `adapter_config.json`, and refuses those that cannot be applied.
  public mutating func read(adapterConfig reader: AdapterConfigReader) throws {
    try reader.refuse([
      "use_dora", "use_qalora", "use_bdlora", "lora_bias", "layer_replication", "alora_invocation_tokens", "target_parameters",
      "trainable_token_indices", "arrow_config", "monteclora_config", "velora_config", "kasa_config",
    ])
    try requireTargets(reader)
    try readSettings(reader)
  }

  /// The settings as PEFT writes them. PEFT puts the modules it found in place of `all-linear`, since which those are depends on the
  /// class the model is loaded with.
  public func adapterConfig(for adapter: Adapter) throws -> OrderedDictionary<String, JSON> {
    var config = savedSettings
    config["init_lora_weights"] = initialization == .gaussian ? "gaussian" : true
    config["use_dora"] = false
    addModules(of: adapter, to: &config)
    return config
  }
}

extension ProjectionMethod {
  /// Says which modules `all-linear` was, and how they store their weights.
  func addModules(of adapter: Adapter, to config: inout OrderedDictionary<String, JSON>) {
    config["fan_in_fan_out"] = .bool(adapter.deltas.contains { $0.projection.storesTransposed })
    if targets == .allLinear { config["target_modules"] = .array(adapter.deltas.map { .string($0.path) }) }
  }
}
