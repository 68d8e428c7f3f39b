import NN
import OrderedCollections
import Text
import Torch

extension LoRAConfiguration {
  /// Puts a new adapter into `model`; its output stays as it was.
  public func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter {
    try install(
      in: model, named: name, strict: strict,
      tables: { path, table in
        guard !usesDoRA else { throw TunerError("use_dora: “\(path)” is a table of vectors, and DoRA is for projections") }
        return try LoRAEmbeddingDelta(for: table, rank: try rank(path), scale: try scale(path), device: model.device)
      },
      others: { paths, overlay in
        try addBiases(to: overlay, of: model, adapted: paths)
        return try tokens.parts(in: model, named: name, infix: ".token_adapter")
      }
    ) { path, projection in
      let low = try LoRADelta(for: projection, at: path, self, device: model.device)
      return usesDoRA ? try DoRADelta(low, for: projection) : low
    }
  }

  /// The biases that are trained along.
  private func addBiases(to overlay: ParameterOverlay, of model: any CausalLM, adapted: [String]) throws(TorchError) {
    for (path, slot, _) in model.parameters() where path.hasSuffix(".bias") && !path.contains(".adapters.") {
      let module = path.modulePath.replacing(".base_layer", with: "")
      // PEFT saves the bias of an adapted projection under the wrapper it then stands in.
      if adapted.contains(module), bias != .none {
        try overlay.add(module + ".base_layer.bias", slot)
      } else if bias == .all {
        try overlay.add(module + ".bias", slot)
      }
    }
  }

  /// Takes the settings out of an `adapter_config.json`, and refuses those that cannot be applied.
  public mutating func read(adapterConfig reader: AdapterConfigReader) throws {
    try reader.refuse([
      "use_qalora", "use_bdlora", "lora_bias", "layer_replication", "alora_invocation_tokens", "target_parameters",
      "arrow_config",
      "monteclora_config", "velora_config", "kasa_config",
    ])
    if let start = reader.value("init_lora_weights")?.string {
      for name in ["pissa", "olora", "corda", "loftq", "lora_ga"] where start.hasPrefix(name) {
        throw reader.error(
          "init_lora_weights",
          "is “\(start)”, which changes the base's weights too; save the adapter as a plain LoRA: in PEFT, with "
            + "path_initial_model_for_weight_conversion")
      }
    }
    try requireTargets(reader)
    try readSettings(reader)
  }

  /// The settings as PEFT writes them. An adapter that started from the weights is a plain one of twice the rank and the same scale.
  public func adapterConfig(for adapter: Adapter) throws -> OrderedDictionary<String, JSON> {
    var plain = self
    if initialization.isFromWeight {
      let factor = usesRankStabilizedScale ? 2.0.squareRoot() : 2
      (plain.r, plain.alpha) = (2 * r, factor * alpha)
      plain.rankPattern = rankPattern.mapValues { 2 * $0 }
      plain.alphaPattern = alphaPattern.mapValues { factor * $0 }
    }
    var config = plain.savedSettings
    config["init_lora_weights"] = initialization == .gaussian ? "gaussian" : true
    addModules(of: adapter, to: &config)
    return config
  }
}

extension ProjectionMethod {
  /// Says which modules those of the defaults were, and how they store their weights.
  func addModules(of adapter: Adapter, to config: inout OrderedDictionary<String, JSON>) {
    config["fan_in_fan_out"] = .bool(adapter.deltas.contains { $0.projection.storesTransposed })
    if targets == Self().targets || targets == .allLinear {
      config["target_modules"] = .array(adapter.deltas.map { .string($0.path) })
    }
  }
}
