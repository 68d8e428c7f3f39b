import OrderedCollections
import Text

extension BottleneckConfiguration: TuningMethod {
  /// `bottleneck`.
  public static var name: String { "bottleneck" }
  /// Nil: PEFT has none.
  public static var peftType: String? { nil }
  /// AdapterHub's.
  public static var files: AdapterFiles { .adapterHub }
  /// 1e-4, as AdapterHub's examples.
  public var learningRate: Double { 1e-4 }

  /// Every setting, under AdapterHub's names.
  public static var settings: [Setting<Self>] {
    [
      .bool("mh_adapter", \.isBehindAttention), .bool("output_adapter", \.isBehindFeedForward),
      .double("reduction_factor", \.reductionFactor, in: 0.0625...65536), .choice("non_linearity", \.activation), scale,
      .bool("is_parallel", \.isParallel), .bool("original_ln_before", \.seesSum), .choice("init_weights", \.start),
      .double("dropout", \.dropout, in: 0...0.999), .ints("leave_out", \.leftOut),
      Setting.bool("original_ln_after", \.addsStreamBehind).onlyInFile,
      Setting.bool("residual_before_ln", \.keepsOutput).onlyInFile,
      Setting(
        "inv_adapter",
        read: { source, key, method in
          if try source.choice(key, [("nice", true)]) == true { method.isInvertible = true }
        }, value: { $0.isInvertible ? "nice" : .null }),
      .double("inv_adapter_reduction_factor", \.inverseReduction, in: 0.0625...65536),
      Setting(
        "phm_layer",
        read: { source, key, method in
          if let on = try source.bool(key) { method.hypercomplex = on ? method.hypercomplex ?? HypercomplexSettings() : nil }
        }, value: { .bool($0.hypercomplex != nil) }),
      .int("phm_dim", \.maps.dimension, in: 1...256), .int("phm_rank", \.maps.rank, in: 1...1024),
      .bool("factorized_phm_W", \.maps.factorsWeights), .bool("factorized_phm_rule", \.maps.factorsRules),
      .bool("shared_phm_rule", \.maps.sharesRules), .bool("learn_phm", \.maps.learnsRules), .bool("phm_bias", \.maps.hasBias),
      Setting(
        "phm_c_init",
        read: { source, key, method in
          let uniform = try source.choice(key, [("normal", false), ("uniform", true)])
          method.maps.startsUniform = uniform ?? method.maps.startsUniform
        }, value: { $0.maps.startsUniform ? "uniform" : "normal" }),
      .double("phm_init_range", \.maps.ruleRange, in: 0...1e3),
    ]
  }

  /// The settings of maps; without `phm_layer` they mean nothing.
  private var maps: HypercomplexSettings {
    get { hypercomplex ?? HypercomplexSettings() }
    set { if hypercomplex != nil { hypercomplex = newValue } }
  }

  private static var scale: Setting<Self> {
    Setting(
      "scaling",
      read: { source, key, method in
        if let number = try? source.double(key, in: -1e6...1e6) {
          method.scaling = .fixed(number)
        } else if let kind = try source.choice(key, [("learned", Scaling.learned), ("channel", .channel)]) {
          method.scaling = kind
        }
      },
      value: {
        switch $0.scaling {
        // The package takes whole numbers for a mistake.
        case .fixed(let number): .double(number)
        case .learned: "learned"
        case .channel: "channel"
        }
      })
  }

  /// Checks that settings go together.
  public func validate() throws(TunerError) {
    guard isBehindAttention || isBehindFeedForward else {
      throw TunerError(
        "mh_adapter and output_adapter are both false, which leaves no place for a bottleneck: make one of them true")
    }
    for layer in leftOut ?? [] where layer < 0 { throw TunerError("leave_out: there is no layer \(layer)") }
    if hypercomplex != nil, start != .normal {
      throw TunerError("init_weights is \(start.rawValue), which is for dense maps: with phm_layer make it bert, or leave it out")
    }
    // What the keys say of norms behind a part has no meaning in decoders, but they also say how often the stream is added.
    let once = isParallel ? addsStreamBehind : seesSum ? addsStreamBehind == keepsOutput : addsStreamBehind
    guard once else {
      throw TunerError(
        "original_ln_before, original_ln_after and residual_before_ln are \(seesSum), \(addsStreamBehind) and \(keepsOutput): with "
          + "these the layer's own stream is lost or added twice in a decoder, and the adapter would be trained around that")
    }
  }

  /// Takes the settings out of the `config` of an `adapter_config.json`.
  public mutating func read(adapterConfig reader: AdapterConfigReader) throws {
    try reader.refuse([
      "adapter_residual_before_ln", "cross_adapter", "ln_after", "ln_before", "shared_W_phm", "use_gating",
    ])
    if let depth = try reader.double("stochastic_depth", in: 0...1), depth > 0 { try reader.refuse(["stochastic_depth"]) }
    seesSum = false
    try readSettings(reader)
  }

  /// The `config` as AdapterHub writes it, with the keys of what is not there.
  public func adapterConfig(for adapter: Adapter) throws -> OrderedDictionary<String, JSON> {
    var config = savedSettings
    for key in ["adapter_residual_before_ln", "cross_adapter", "ln_after", "ln_before", "shared_W_phm", "use_gating"] {
      config[key] = false
    }
    config["init_weights_seed"] = .null
    if isInvertible { config["inv_adapter_reduction_factor"] = .number(couplingReduction) }
    config["hypercomplex_nonlinearity"] = "glorot-uniform"
    config["leave_out"] = .array((leftOut ?? []).map(JSON.int))
    config["stochastic_depth"] = .double(0)
    return config
  }
}
