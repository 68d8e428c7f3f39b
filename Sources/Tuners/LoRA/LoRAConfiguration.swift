import NN
import OrderedCollections
import Text

/// Which biases are trained along with an adapter.
public enum BiasTraining: String, Sendable, Hashable, CaseIterable, Codable {
  /// None.
  case none
  /// Every bias of the model.
  case all
  /// Those of the projections that are adapted.
  case adaptedOnly = "lora_only"
}

/// LoRA's settings, under PEFT's names.
public struct LoRAConfiguration: ProjectionMethod, Hashable {
  /// How A starts; B always starts at 0, so that the adapted model starts as the base.
  public enum Initialization: String, Sendable, Hashable, CaseIterable {
    /// U(−1/√in, 1/√in), as torch fills a linear layer.
    case kaimingUniform = "true"
    /// N(0, 1/r).
    case gaussian
  }

  /// Rank of the two factors, from 1.
  public var r = 8
  /// Numerator of the scale α/r.
  public var alpha = 8.0
  /// Share of inputs dropped before A in training, 0 ..< 1.
  public var dropout = 0.0
  /// What is adapted.
  public var targets: TargetModules = .allLinear
  /// What is left out.
  public var excluded: TargetModules?
  /// Ranks of their own, by pattern of path.
  public var rankPattern: OrderedDictionary<String, Int> = [:]
  /// Alphas of their own, by pattern of path.
  public var alphaPattern: OrderedDictionary<String, Double> = [:]
  /// Scale α/√r in place of α/r. Kalajdzievski, arXiv:2312.03732.
  public var usesRankStabilizedScale = false
  /// Biases trained too.
  public var bias = BiasTraining.none
  /// Modules trained whole and saved with the adapter: `lm_head`, `embed_tokens`.
  public var modulesToSave: [String] = []
  /// Layers to adapt; nil for all.
  public var layers: [Int]?
  /// The name of the list of layers where it is not clear.
  public var layersPattern: String?
  /// How A starts.
  public var initialization = Initialization.kaimingUniform

  /// The defaults of PEFT, but on all linear layers.
  public init() {}

  /// `lora`.
  public static var name: String { "lora" }
  /// `LORA`.
  public static var peftType: String? { "LORA" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [
      .int("r", \.r, in: 1...65536), .double("alpha", \.alpha, in: 1e-9...1e9, peft: "lora_alpha"),
      .double("dropout", \.dropout, in: 0...0.999, peft: "lora_dropout"), .counts("rank_pattern", \.rankPattern),
      .numbers("alpha_pattern", \.alphaPattern), .bool("use_rslora", \.usesRankStabilizedScale), .choice("bias", \.bias),
      .choice("init_lora_weights", \.initialization).onlyInRecipe,
    ] + targetSettings
  }

  /// The rank of the projection at `path`.
  func rank(_ path: String) throws(TunerError) -> Int {
    try value(of: rankPattern.elements.map { ($0.key, $0.value) }, for: path, key: "rank_pattern") ?? r
  }

  /// The scale of the projection at `path`.
  func scale(_ path: String) throws(TunerError) -> Double {
    let alpha = try value(of: alphaPattern.elements.map { ($0.key, $0.value) }, for: path, key: "alpha_pattern") ?? self.alpha
    let rank = Double(try rank(path))
    return usesRankStabilizedScale ? alpha / rank.squareRoot() : alpha / rank
  }

  /// Checks every range.
  ///
  /// - Throws: ``TunerError`` that names the key.
  public func validate() throws(TunerError) {
    guard r > 0 else { throw TunerError("r must be at least 1, not \(r)") }
    guard alpha.isFinite, alpha > 0 else { throw TunerError("alpha must be greater than 0, not \(alpha)") }
    guard (0..<1).contains(dropout) else { throw TunerError("dropout must be from 0 to below 1, not \(dropout)") }
    for (key, rank) in rankPattern where rank < 1 { throw TunerError("rank_pattern: “\(key)” must be at least 1, not \(rank)") }
    for (key, alpha) in alphaPattern where !(alpha > 0) {
      throw TunerError("alpha_pattern: “\(key)” must be greater than 0, not \(alpha)")
    }
    try validateTargets()
  }
}
