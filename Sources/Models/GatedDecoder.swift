import NN
import Text
import Torch

/// What tells one model of the Llama family from another.
public struct GatedDecoderConfiguration: Sendable {
  /// Sizes callers ask for.
  public var shape: ModelShape
  /// Features between the two halves of the feed-forward part.
  public var intermediateSize: Int
  /// Query heads.
  public var heads: Int
  /// Added to the mean square in norms.
  public var normEps: Double
  /// The function of the gate.
  public var activation: Activation
  /// Angles of positions.
  public var rotary: RotaryEmbedding
  /// Biases of the q, k and v projections.
  public var queryKeyValueBias = false
  /// Bias of the output projection.
  public var outputBias = false
  /// Biases of the feed-forward part.
  public var feedForwardBias = false
  /// Norms of queries and keys, head by head.
  public var normsQueriesAndKeys = false
  /// The sliding window of each layer; nil for none.
  public var windows: [Int?]
  /// Dropout of attention weights in training.
  public var attentionDropout: Double
  /// Whether head and token table are one.
  public var isTied: Bool
}

extension ModelConfiguration {
  /// The keys that all models of the Llama family share.
  func gatedDecoder(tied: Bool, keyValueHeads: Int?) throws(ModelError) -> GatedDecoderConfiguration {
    let hidden = try size("hidden_size")
    let heads = try size("num_attention_heads")
    let layers = try size("num_hidden_layers", limit: 10_000)
    let pairs = try size("num_key_value_heads", fallback: keyValueHeads ?? heads)
    guard heads % pairs == 0 else {
      throw error("num_attention_heads", "is \(heads), which is no multiple of num_key_value_heads \(pairs)")
    }
    let headSize = try size("head_dim", fallback: hidden / heads)
    let context = try size("max_position_embeddings", fallback: 2048)
    return GatedDecoderConfiguration(
      shape: ModelShape(
        vocabularySize: try size("vocab_size"), hiddenSize: hidden, layerCount: layers, keyValueHeads: pairs, headSize: headSize,
        contextLength: context),
      intermediateSize: try size("intermediate_size"), heads: heads,
      normEps: try number("rms_norm_eps", fallback: 1e-6, in: 0...1),
      activation: try activation("hidden_act", fallback: .silu), rotary: try rotary(headSize: headSize, context: context),
      windows: Array(repeating: nil, count: layers),
      attentionDropout: try number("attention_dropout", fallback: 0, in: 0...0.999),
      isTied: try flag("tie_word_embeddings", fallback: tied))
  }

  /// Each layer's window: from `layer_types` where it is there, else from `window(layer)`.
  func windows(_ count: Int, size: Int?, isSliding: (Int) -> Bool) throws(ModelError) -> [Int?] {
    guard let types = json["layer_types"]?.array else {
      return (0..<count).map { isSliding($0) ? size : nil }
    }
    guard types.count == count else { throw error("layer_types", "has \(types.count) entries for \(count) layers") }
    var windows: [Int?] = []
    for type in types {
      switch type.string {
      case "full_attention": windows.append(nil)
      case "sliding_attention":
        guard let size else { throw error("sliding_window", "is missing, and layer_types names sliding layers") }
        windows.append(size)
      default: throw error("layer_types", "has \(type.text()); known are full_attention and sliding_attention")
      }
    }
    return windows
  }
}

/// A decoder with RMSNorm before each part, rotary positions, grouped key/value heads and a gated feed-forward part:
/// Llama, Mistral, Qwen and their kin.
public final class GatedDecoder: Module, CausalLM {
  @Child("model") private var model: GatedDecoderStack
  /// The projection onto the vocabulary.
  @Projected("lm_head") public var head: any Projection
  /// The head that scores texts; nil where the model has none.
  @OptionalChild("score") public var score: Linear?
  private let configuration: GatedDecoderConfiguration

  /// A model whose numbers are yet to be loaded.
  public init(_ configuration: GatedDecoderConfiguration) throws(TorchError) {
    self.configuration = configuration
    let stack = try GatedDecoderStack(configuration)
    super.init()
    model = stack
    let shape = configuration.shape
    head =
      configuration.isTied
      ? Linear(weight: stack.embedding.weight, bias: nil)
      : try Linear(shape.hiddenSize, shape.vocabularySize, bias: false)
  }

  /// The sizes callers ask for.
  public var shape: ModelShape { configuration.shape.withVocabulary(of: embedding) }
  /// The token table.
  public var embedding: Embedding { model.embedding }
  /// Whether head and token table are one.
  public var isTied: Bool { configuration.isTied }

  /// What is computed again in the backward pass instead of being kept.
  public var gradientCheckpointing: GradientCheckpointing {
    get { model.checkpointing }
    set { model.checkpointing = newValue }
  }

  /// What adapters let stand before every row of tokens.
  public var prompts: SoftPrompts { model.prompts }

  /// What the head takes: [B, S, d].
  public func hidden(_ input: ModelInput) throws(TorchError) -> Tensor { try model.forward(input) }
}

final class GatedDecoderStack: Module {
  @Child("embed_tokens") var embedding: Embedding
  @Children("layers") var layers: [GatedDecoderLayer]
  @Child("norm") var norm: RMSNorm
  @Child("prompts") var prompts: SoftPrompts
  @Child("invertible_adapters") var inputAdapters: InputAdapters
  var checkpointing = GradientCheckpointing.none
  private let rotary: RotaryEmbedding
  private let windows: [Int?]

  init(_ configuration: GatedDecoderConfiguration) throws(TorchError) {
    let shape = configuration.shape
    rotary = configuration.rotary
    windows = configuration.windows
    super.init()
    embedding = try Embedding(shape.vocabularySize, shape.hiddenSize)
    for _ in 0..<shape.layerCount { layers.append(try GatedDecoderLayer(configuration)) }
    norm = try RMSNorm(shape.hiddenSize, eps: configuration.normEps)
    prompts = SoftPrompts()
    inputAdapters = InputAdapters()
  }

  func forward(_ input: ModelInput) throws(TorchError) -> Tensor {
    let pass = try DecoderPass(input, embedding: embedding, prompts: prompts, layers: layers.count)
    var stream = ResidualStream(try inputAdapters.forward(pass.rows))
    let angles = try rotary.angles(pass.positions, length: pass.length)
    let plans = try AttentionPlans(pass, windows: windows)
    for (index, layer) in layers.enumerated() {
      let cache = pass.cache?.layers[index]
      let mode = cache == nil ? checkpointing.of(layer: index) : .none
      try stream.run(recomputed: mode == .full, layer, plans[index]) { (stream, plan) throws(TorchError) in
        try layer.forward(&stream, angles: angles, plan: plan, cache: cache, checkpointing: mode)
      }
    }
    return try pass.tokens(of: try norm.forward(&stream))
  }
}

final class GatedDecoderLayer: Module {
  @Child("input_layernorm") var inputNorm: RMSNorm
  @Child("self_attn") var attention: GatedDecoderAttention
  @Child("post_attention_layernorm") var feedForwardNorm: RMSNorm
  @Child("mlp") var feedForward: GatedFeedForward
  @Child("attention_adapters") var attentionAdapters: SublayerAdapters
  @Child("output_adapters") var outputAdapters: SublayerAdapters

  init(_ configuration: GatedDecoderConfiguration) throws(TorchError) {
    let (size, eps) = (configuration.shape.hiddenSize, configuration.normEps)
    super.init()
    inputNorm = try RMSNorm(size, eps: eps)
    attention = try GatedDecoderAttention(configuration)
    feedForwardNorm = try RMSNorm(size, eps: eps)
    feedForward = try GatedFeedForward(configuration)
    attentionAdapters = SublayerAdapters()
    outputAdapters = SublayerAdapters()
  }

  func forward(
    _ stream: inout ResidualStream, angles: (cos: Tensor, sin: Tensor), plan: AttentionPlan, cache: LayerCache?,
    checkpointing: GradientCheckpointing.Part
  ) throws(TorchError) {
    stream.pending = try attention.forward(try inputNorm.forward(&stream), angles: angles, plan: plan, cache: cache)
    try attentionAdapters.apply(to: &stream)
    try stream.run(recomputed: checkpointing == .selective, self) { [self] (stream) throws(TorchError) in
      stream.pending = try feedForward.forward(try feedForwardNorm.forward(&stream))
      try outputAdapters.apply(to: &stream)
    }
  }
}

final class GatedDecoderAttention: Module {
  @Projected("q_proj") var query: any Projection
  @Projected("k_proj") var key: any Projection
  @Projected("v_proj") var value: any Projection
  @Projected("o_proj") var output: any Projection
  @OptionalChild("q_norm") var queryNorm: RMSNorm?
  @OptionalChild("k_norm") var keyNorm: RMSNorm?
  private let headSize: Int
  private let dropout: Double

  init(_ configuration: GatedDecoderConfiguration) throws(TorchError) {
    let shape = configuration.shape
    headSize = shape.headSize
    dropout = configuration.attentionDropout
    let (hidden, bias) = (shape.hiddenSize, configuration.queryKeyValueBias)
    let (wide, narrow) = (configuration.heads * headSize, shape.keyValueHeads * headSize)
    super.init()
    query = try Linear(hidden, wide, bias: bias)
    key = try Linear(hidden, narrow, bias: bias)
    value = try Linear(hidden, narrow, bias: bias)
    output = try Linear(wide, hidden, bias: configuration.outputBias)
    let norms = configuration.normsQueriesAndKeys
    queryNorm = norms ? try RMSNorm(headSize, eps: configuration.normEps) : nil
    keyNorm = norms ? try RMSNorm(headSize, eps: configuration.normEps) : nil
  }

  func forward(
    _ x: Tensor, angles: (cos: Tensor, sin: Tensor), plan: AttentionPlan, cache: LayerCache?
  ) throws(TorchError) -> Tensor {
    let (rows, tokens) = (x.shape[0], x.shape[1])
    let parts = try project(x, through: query, key, value)
    var q = try parts[0].reshaped(rows, tokens, -1, headSize)
    var k = try parts[1].reshaped(rows, tokens, -1, headSize)
    let v = try parts[2].reshaped(rows, tokens, -1, headSize)
    if let queryNorm, let keyNorm { (q, k) = (try queryNorm.forward(q), try keyNorm.forward(k)) }
    let attended = try plan.attend(
      try q.rotary(cos: angles.cos, sin: angles.sin), try k.rotary(cos: angles.cos, sin: angles.sin), v, cache: cache,
      dropout: isTraining ? dropout : 0, scale: 1 / Double(headSize).squareRoot())
    return try output.forward(try attended.reshaped(rows, tokens, -1))
  }
}

final class GatedFeedForward: Module {
  @Projected("gate_proj") var gate: any Projection
  @Projected("up_proj") var up: any Projection
  @Projected("down_proj") var down: any Projection
  private let activation: Activation

  init(_ configuration: GatedDecoderConfiguration) throws(TorchError) {
    let (hidden, inner) = (configuration.shape.hiddenSize, configuration.intermediateSize)
    let bias = configuration.feedForwardBias
    activation = configuration.activation
    super.init()
    gate = try Linear(hidden, inner, bias: bias)
    up = try Linear(hidden, inner, bias: bias)
    down = try Linear(inner, hidden, bias: bias)
  }

  func forward(_ x: Tensor) throws(TorchError) -> Tensor {
    let parts = try project(x, through: gate, up)
    return try down.forward(try activation.gate(parts[0], parts[1]))
  }
}
