import NN
import OrderedCollections
import Text
import Torch

/// Prefix tuning: keys and values that attention finds before each row, in every layer. Li & Liang, arXiv:2101.00190. Under PEFT's
/// names.
///
/// With H key heads of D features in L layers, a virtual token is 2·L·H·D numbers: of layer l the keys as part 2l, the values as part
/// 2l + 1. Positions are not turned into the keys; the first token's position is n.
public struct PrefixTuning: PromptMethod, Hashable {
  /// What a prefix begins as that no network makes.
  public enum Start: String, Sendable, Hashable, CaseIterable {
    /// The keys and values of tokens drawn from the vocabulary.
    case vocabulary = "SAMPLE_VOCAB"
    /// The keys and values of a text, from the start again where its tokens are fewer.
    case text = "TEXT"
    /// N(0, 1), as in PEFT.
    case random = "RANDOM"
    /// Zeros.
    case zero
  }

  /// How many virtual tokens, from 1.
  public var virtualTokenCount = 20
  /// Whether a network of two layers makes the prefix, which is learnt with what it takes.
  public var projects = false
  /// Its inner features; nil for those of a layer's keys.
  public var hiddenSize: Int?
  /// What the prefix begins as; nil for tokens of the vocabulary, or for what the network makes of N(0, 1).
  public var start: Start?
  /// The text it begins as.
  public var text: String?
  /// The sizes of the model.
  public var sizes = PromptSizes()
  private var textTokens: [Int32] = []

  /// 20 virtual tokens that begin as the keys and values of tokens drawn from the vocabulary.
  public init() {}

  /// `prefix_tuning`.
  public static var name: String { "prefix_tuning" }
  /// `PREFIX_TUNING`.
  public static var peftType: String? { "PREFIX_TUNING" }

  static func sizes(of shape: ModelShape) -> PromptSizes {
    PromptSizes(
      tokenDim: shape.keyValueHeads * shape.headSize, layers: shape.layerCount, heads: shape.keyValueHeads, submodules: 1)
  }

  /// 1e-2, and 1e-3 for the weights of a network.
  public var learningRate: Double { projects ? 1e-3 : 1e-2 }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    promptSettings + [
      .bool("prefix_projection", \.projects), .int("encoder_hidden_size", \.hiddenSize, in: 1...65536),
      Setting(
        "init_weights",
        read: { source, key, method in
          method.start = try source.choice(key, Start.allCases.map { ($0.rawValue, $0) }) ?? method.start
        }, value: { $0.start.map { .string($0.rawValue) } ?? .null }),
      Setting.string("init_text", \.text).onlyInRecipe,
    ]
  }

  /// Checks that there is a text where one is asked for, and that a network's result is not asked to begin as one.
  public func validate() throws(TunerError) {
    guard sizes.areSaved || (start == .text) == (text != nil) else {
      throw TunerError(
        start == .text
          ? "init_weights is TEXT, and init_text is missing: give the text"
          : "init_text is there, and init_weights is not TEXT: make it TEXT, or leave the text out")
    }
    if projects, let start, start == .text || start == .vocabulary {
      throw TunerError(
        "init_weights is \(start.rawValue), and with prefix_projection a network makes the prefix: leave one of them out")
    }
  }

  /// Takes the tokens of the text.
  public mutating func prepare(tokenizer: any Tokenizer, of model: String) {
    if let text { textTokens = tokenizer.encode(text, addSpecialTokens: true) }
  }

  /// The settings as PEFT writes them, which knows zeros and random numbers to begin with.
  public func adapterConfig(for adapter: Adapter) throws -> OrderedDictionary<String, JSON> {
    var config = savedSettings
    config["init_weights"] = start == .zero ? "zero" : .null
    if hiddenSize == nil, let size = sizes.tokenDim { config["encoder_hidden_size"] = .int(size) }
    return config
  }

  func makePrompt(for model: any CausalLM) throws -> any TrainedPrompt {
    let (shape, count) = (model.shape, virtualTokenCount)
    let width = shape.keyValueHeads * shape.headSize
    let whole = [count, 2 * shape.layerCount * width]
    if projects {
      let rows = try PromptStart.random([count, width], on: model.device)
      let inner = hiddenSize ?? width
      let network = try Perceptron([width, inner, whole[1]], on: model.device) { x throws(TorchError) in try x.tanh() }
      if start == .zero { try network.zeroOutput() }
      return ProjectedPrefix(rows, network, width: whole[1], heads: shape.keyValueHeads, layers: shape.layerCount)
    }
    let table =
      switch sizes.areSaved ? .zero : start ?? .vocabulary {
      case .zero: try Tensor.zeros(whole, device: model.device)
      case .random: try PromptStart.random(whole, on: model.device)
      case .text: try PromptStart.keysAndValues(of: textTokens, count: count, in: model)
      case .vocabulary:
        try PromptStart.keysAndValues(of: try PromptStart.sampled(count, from: model), count: count, in: model)
      }
    return Prefix(table, heads: shape.keyValueHeads, layers: shape.layerCount)
  }
}

extension Tensor {
  /// Keys and values by layer of rows [n, 2·L·H·D] of a prefix.
  fileprivate func prefixLayers(_ layers: Int, heads: Int) throws(TorchError) -> [KeyValueRows] {
    let parts = try reshaped(size(0), 2 * layers, heads, -1)
    return try (0..<layers).map { (layer) throws(TorchError) in
      KeyValueRows(keys: try parts.selected(1, 2 * layer), values: try parts.selected(1, 2 * layer + 1))
    }
  }
}

/// A prefix that is learnt as it is.
private final class Prefix: Module, TrainedPrompt {
  /// [n, 2·L·H·D] float32.
  @Param("embedding.weight") private var table: Tensor
  private let heads: Int
  private let layers: Int

  init(_ table: Tensor, heads: Int, layers: Int) {
    (self.heads, self.layers) = (heads, layers)
    super.init()
    self.table = table
  }

  var count: Int { table.shape.first ?? 0 }

  func virtualTokens(rows: Int, tasks: [Int]) throws(TorchError) -> VirtualTokens {
    .keysAndValues(try table.prefixLayers(layers, heads: heads))
  }

  var trained: [(path: String, value: Tensor)] { [(promptTensorName, table)] }
  var saved: [SavedTensor] { [SavedTensor(promptTensorName, table)] }
}

/// A prefix that two linear layers make.
private final class ProjectedPrefix: EncodedPrompt, TrainedPrompt {
  @Child("transform") private var network: Perceptron
  private let width: Int
  private let heads: Int
  private let layers: Int

  init(_ rows: Tensor, _ network: Perceptron, width: Int, heads: Int, layers: Int) {
    (self.width, self.heads, self.layers) = (width, heads, layers)
    super.init(embedding: rows)
    self.network = network
  }

  override func encode(_ rows: Tensor) throws(TorchError) -> Tensor { try network.forward(rows) }
  override var encoder: [(name: String, value: Tensor)] { network.parameters().map { ("transform.\($0.path)", $0.value) } }
  override var resultShape: [Int] { [count, width] }

  func virtualTokens(rows: Int, tasks: [Int]) throws(TorchError) -> VirtualTokens {
    .keysAndValues(try result().prefixLayers(layers, heads: heads))
  }
}
