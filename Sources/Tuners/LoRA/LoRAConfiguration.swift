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
  /// How A and B start. The adapted model starts as the base in every case.
  public enum Initialization: String, Sendable, Hashable, CaseIterable {
    /// A is U(−1/√in, 1/√in), as torch fills a linear layer; B is 0.
    case kaimingUniform = "true"
    /// A is N(0, 1/r), B is 0.
    case gaussian
    /// The r largest singular values of W with their vectors. Meng et al., arXiv:2404.02948.
    case pissa
    /// The first r columns of W made orthonormal, and what they have of W. Büyükakyüz, arXiv:2406.01775.
    case olora

    /// True where A and B start from the weight, so that what they start with is taken off it.
    var isFromWeight: Bool { self == .pissa || self == .olora }
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
  /// The length of each row of the weight is trained apart from its direction. Liu et al., arXiv:2402.09353.
  public var usesDoRA = false
  /// A stays as it starts. Zhang et al., arXiv:2308.03303.
  public var freezesA = false
  /// What the learning rate is multiplied by for B; nil for 1. Hayou et al., arXiv:2402.12354.
  public var rateRatio: Double?
  /// The learning rate of adapters of embeddings where there is a ratio.
  public var embeddingRate = 1e-6
  /// Biases trained too.
  public var bias = BiasTraining.none
  /// Modules trained whole and saved with the adapter: `lm_head`, `embed_tokens`.
  public var modulesToSave: [String] = []
  /// Tokens whose rows are trained.
  public var tokens = TokenIndices()
  /// Layers to adapt; nil for all.
  public var layers: [Int]?
  /// The name of the list of layers where it is not clear.
  public var layersPattern: String?
  /// How A and B start.
  public var initialization = Initialization.kaimingUniform

  /// The defaults of PEFT, but on all linear layers.
  public init() {}

  /// Those of a variant, which `change` makes.
  init(_ change: (inout LoRAConfiguration) -> Void) { change(&self) }

  /// `lora`.
  public static var name: String { "lora" }
  /// `LORA`.
  public static var peftType: String? { "LORA" }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [
      .int("r", \.r, in: 1...65536), .double("alpha", \.alpha, in: 1e-9...1e9, peft: "lora_alpha"),
      .double("dropout", \.dropout, in: 0...0.999, peft: "lora_dropout"), .counts("rank_pattern", \.rankPattern),
      .numbers("alpha_pattern", \.alphaPattern), .bool("use_rslora", \.usesRankStabilizedScale), .bool("use_dora", \.usesDoRA),
      .choice("bias", \.bias), .choice("init_lora_weights", \.initialization).onlyInRecipe,
      .bool("freeze_a", \.freezesA).onlyInRecipe,
      .double("loraplus_lr_ratio", \.rateRatio, in: 1e-6...1e6).onlyInRecipe,
      .double("loraplus_lr_embedding", \.embeddingRate, in: 0...1).onlyInRecipe,
      Setting(
        "trainable_token_indices", read: { $2.tokens = try TokenIndices($0, $1) ?? $2.tokens }, value: { $0.tokens.json }),
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

  /// The rows of new tokens are trained beside the adapter.
  public mutating func train(newTokens tokens: [Int], hasOwnHead: Bool) { self.tokens.add(tokens, hasOwnHead: hasOwnHead) }

  /// The rate of B, and that of embeddings, where LoRA+ is on.
  public func rateScale(of path: String, learningRate: Double) -> Double {
    guard let rateRatio else { return 1 }
    if path.contains(".lora_embedding_") { return learningRate > 0 ? embeddingRate / learningRate : 0 }
    return path.contains(".lora_B.") || path.hasSuffix("lora_magnitude_vector") || path.hasSuffix(".bias") ? rateRatio : 1
  }
}
