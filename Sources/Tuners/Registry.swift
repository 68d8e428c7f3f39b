/// Every method there is.
public enum Methods {
  /// What a recipe's `method.type` names: a method's own name, or a name for one of its variants, with the settings it starts from.
  private static let registry: [(name: String, start: any TuningMethod)] = [
    ("lora", LoRAConfiguration()), ("rslora", LoRAConfiguration { $0.usesRankStabilizedScale = true }),
    ("dora", LoRAConfiguration { $0.usesDoRA = true }), ("pissa", LoRAConfiguration { $0.initialization = .pissa }),
    ("olora", LoRAConfiguration { $0.initialization = .olora }), ("lora_plus", LoRAConfiguration { $0.rateRatio = 16 }),
    ("lora_fa", LoRAConfiguration { $0.freezesA = true }), ("adalora", AdaLoRAConfiguration()), ("vera", VeRAConfiguration()),
    ("loha", LoHaConfiguration()), ("lokr", LoKrConfiguration()), ("ia3", IA3Configuration()),
    ("ln_tuning", LNTuningConfiguration()), ("trainable_tokens", TrainableTokensConfiguration()),
    ("full", FullConfiguration()), ("bitfit", FullConfiguration(trainable: ["biases"])),
    ("prompt_tuning", PromptTuning()), ("p_tuning", PTuning()), ("prefix_tuning", PrefixTuning()),
    ("multitask_prompt_tuning", MultitaskPromptTuning()), ("bottleneck", BottleneckConfiguration()),
    ("houlsby", BottleneckConfiguration.houlsby), ("pfeiffer", BottleneckConfiguration()),
    ("parallel", BottleneckConfiguration.parallel), ("compacter", BottleneckConfiguration.compacter(plusPlus: false)),
    ("compacter++", BottleneckConfiguration.compacter(plusPlus: true)),
    // What AdapterHub calls the same.
    ("double_seq_bn", BottleneckConfiguration.houlsby), ("seq_bn", BottleneckConfiguration()),
    ("par_bn", BottleneckConfiguration.parallel),
    ("scaled_par_bn", BottleneckConfiguration.parallel.changed { $0.scaling = .learned }),
    ("seq_bn_inv", BottleneckConfiguration().changed { $0.isInvertible = true }),
    ("double_seq_bn_inv", BottleneckConfiguration.houlsby.changed { $0.isInvertible = true }),
    ("fusion", FusionConfiguration()),
  ]

  /// The names a recipe may give, in the table's order.
  public static var names: [String] { registry.map(\.name) }

  /// The method of that name with its defaults; nil where there is none.
  public static func make(_ name: String) -> (any TuningMethod)? { registry.first { $0.name == name }?.start }

  /// The `peft_type` of each method that has one, in the table's order.
  static var peftTypes: [String] {
    registry.reduce(into: []) { types, entry in
      if let type = entry.start.peftType, !types.contains(type) { types.append(type) }
    }
  }

  /// The method whose files have that `peft_type`, with its defaults; nil where there is none.
  static func make(peftType: String) -> (any TuningMethod)? { registry.first { $0.start.peftType == peftType }?.start }
}
