import OrderedCollections
import Text

extension LoRAConfiguration {
  /// Reads an `adapter_config.json` of `peft_type` LORA. Keys that PEFT adds later are passed over; those that change the
  /// result and are not supported are refused.
  ///
  /// - Throws: ``TunerError`` that names the file and the key.
  init(adapterConfig json: JSON, path: String) throws(TunerError) {
    let reader = AdapterConfigReader(json: json, path: path)
    try reader.refuse([
      "use_dora", "use_qalora", "use_bdlora", "lora_bias", "layer_replication", "alora_invocation_tokens", "target_parameters",
      "trainable_token_indices", "arrow_config", "monteclora_config", "velora_config", "kasa_config",
    ])
    r = try reader.int("r") ?? 8
    alpha = try reader.double("lora_alpha") ?? 8
    dropout = try reader.double("lora_dropout") ?? 0
    guard let targets = try reader.targets("target_modules") else { throw reader.error("target_modules", "is missing") }
    self.targets = targets
    excluded = try reader.targets("exclude_modules")
    rankPattern = try reader.table("rank_pattern", "a whole number") { $0.int }
    alphaPattern = try reader.table("alpha_pattern", "a number") { $0.double }
    usesRankStabilizedScale = try reader.bool("use_rslora") ?? false
    modulesToSave = try reader.strings("modules_to_save") ?? []
    layers = try reader.ints("layers_to_transform")
    layersPattern = try reader.strings("layers_pattern")?.first
    if let name = try reader.string("bias") {
      guard let bias = BiasTraining(rawValue: name) else {
        throw reader.error("bias", "is “\(name)”; known are none, all, lora_only")
      }
      self.bias = bias
    }
    try validate()
  }

  /// The configuration as PEFT writes it. PEFT puts the modules it found in place of `all-linear`, since which those are depends
  /// on the class the model is loaded with.
  ///
  /// - Parameters:
  ///   - base: `base_model_name_or_path`.
  ///   - adapted: the paths of the adapted projections.
  ///   - transposed: whether those store their weight as [in, out].
  func adapterConfig(base: String, adapted: [String], transposed: Bool) -> JSON {
    .object([
      "alpha_pattern": .object(alphaPattern.mapValues(number)),
      "auto_mapping": .null,
      "base_model_name_or_path": .string(base),
      "bias": .string(bias.rawValue),
      "exclude_modules": excluded.map(text) ?? .null,
      "fan_in_fan_out": .bool(transposed),
      "inference_mode": true,
      "init_lora_weights": initialization == .gaussian ? "gaussian" : true,
      "layers_pattern": layersPattern.map(JSON.string) ?? .null,
      "layers_to_transform": layers.map { .array($0.map(JSON.int)) } ?? .null,
      "lora_alpha": number(alpha),
      "lora_dropout": .double(dropout),
      "modules_to_save": modulesToSave.isEmpty ? .null : .array(modulesToSave.map(JSON.string)),
      "peft_type": "LORA",
      "r": .int(r),
      "rank_pattern": .object(rankPattern.mapValues(JSON.int)),
      "revision": .null,
      "target_modules": text(targets == .allLinear ? .names(adapted) : targets),
      "task_type": "CAUSAL_LM",
      "use_dora": false,
      "use_rslora": .bool(usesRankStabilizedScale),
    ])
  }

  private func number(_ value: Double) -> JSON { Int(exactly: value).map(JSON.int) ?? .double(value) }

  private func text(_ targets: TargetModules) -> JSON {
    switch targets {
    case .names(let names): .array(names.map(JSON.string))
    case .pattern(let pattern): .string(pattern)
    case .allLinear: "all-linear"
    }
  }
}

/// Reads an `adapter_config.json` key by key, with errors that name file and key.
struct AdapterConfigReader {
  let json: JSON
  let path: String

  func error(_ key: String, _ problem: String) -> TunerError { TunerError("\(path): “\(key)” \(problem)") }

  private func value(_ key: String) -> JSON? { json[key].flatMap { $0.isNull ? nil : $0 } }

  private func read<Value>(_ key: String, _ kind: String, _ convert: (JSON) -> Value?) throws(TunerError) -> Value? {
    guard let json = value(key) else { return nil }
    guard let value = convert(json) else { throw error(key, "must be \(kind), not \(json.text())") }
    return value
  }

  func int(_ key: String) throws(TunerError) -> Int? { try read(key, "a whole number") { $0.int } }
  func double(_ key: String) throws(TunerError) -> Double? { try read(key, "a number") { $0.double } }
  func bool(_ key: String) throws(TunerError) -> Bool? { try read(key, "true or false") { $0.bool } }
  func string(_ key: String) throws(TunerError) -> String? { try read(key, "text") { $0.string } }

  /// A list of texts, or one text.
  func strings(_ key: String) throws(TunerError) -> [String]? {
    try read(key, "a list of names") { json in
      if let one = json.string { return [one] }
      guard let list = json.array else { return nil }
      let names = list.compactMap(\.string)
      return names.count == list.count ? names : nil
    }
  }

  /// A list of whole numbers, or one.
  func ints(_ key: String) throws(TunerError) -> [Int]? {
    try read(key, "a list of whole numbers") { json in
      if let one = json.int { return [one] }
      guard let list = json.array else { return nil }
      let numbers = list.compactMap(\.int)
      return numbers.count == list.count ? numbers : nil
    }
  }

  func targets(_ key: String) throws(TunerError) -> TargetModules? {
    guard let json = value(key) else { return nil }
    if let text = json.string { return text == "all-linear" ? .allLinear : .pattern(text) }
    return try strings(key).map(TargetModules.names)
  }

  func table<Value>(_ key: String, _ kind: String, _ convert: (JSON) -> Value?) throws(TunerError) -> OrderedDictionary<
    String, Value
  > {
    guard let json = value(key) else { return [:] }
    guard let members = json.object else { throw error(key, "must be an object") }
    var table: OrderedDictionary<String, Value> = [:]
    for (name, member) in members {
      guard let value = convert(member) else { throw error("\(key).\(name)", "must be \(kind), not \(member.text())") }
      table[name] = value
    }
    return table
  }

  /// Refuses settings that are on and not supported.
  func refuse(_ keys: [String]) throws(TunerError) {
    for key in keys {
      guard let json = value(key), json != false, json.array?.isEmpty != true, json.object?.isEmpty != true else { continue }
      throw error(key, "is \(json.text()), which Attune cannot apply; its result would be wrong without it")
    }
  }
}
