import NN
import Torch

/// GPT-2: learned positions, LayerNorm, one fused projection for q, k and v. Radford et al., 2019.
public final class GPT2: Module, CausalLM {
  struct Configuration {
    var shape: ModelShape
    var heads: Int
    var innerSize: Int
    var normEps: Double
    var activation: Activation
    var embeddingDropout: Double
    var attentionDropout: Double
    var residualDropout: Double
    var isTied: Bool
  }

  @Child("transformer") private var transformer: GPT2Stack
  /// The projection onto the vocabulary.
  @Projected("lm_head") public var head: any Projection
  /// The head that scores texts; nil where the model has none.
  @OptionalChild("score") public var score: Linear?
  private let sizes: ModelShape
  /// Whether head and token table are one.
  public let isTied: Bool

  init(_ configuration: Configuration) throws(TorchError) {
    sizes = configuration.shape
    isTied = configuration.isTied
    let stack = try GPT2Stack(configuration)
    super.init()
    transformer = stack
    head =
      isTied
      ? Linear(weight: stack.tokens.weight, bias: nil) : try Linear(sizes.hiddenSize, sizes.vocabularySize, bias: false)
  }

  /// The sizes callers ask for.
  public var shape: ModelShape { sizes.withVocabulary(of: embedding) }
  /// The token table.
  public var embedding: Embedding { transformer.tokens }

  /// What is computed again in the backward pass instead of being kept.
  public var gradientCheckpointing: GradientCheckpointing {
    get { transformer.checkpointing }
    set { transformer.checkpointing = newValue }
  }

  /// What adapters let stand before every row of tokens.
  public var prompts: SoftPrompts { transformer.prompts }

  /// What the head takes: [B, S, d].
  public func hidden(_ input: ModelInput) throws(TorchError) -> Tensor { try transformer.forward(input) }

  static func make(_ configuration: ModelConfiguration) throws -> any CausalLM {
    let (hidden, heads) = (try configuration.size("n_embd", "hidden_size"), try configuration.size("n_head"))
    guard hidden % heads == 0 else { throw configuration.error("n_embd", "is no multiple of n_head \(heads)") }
    for (key, usual) in [
      ("scale_attn_by_inverse_layer_idx", false), ("scale_attn_weights", true), ("add_cross_attention", false),
    ] {
      guard try configuration.flag(key, fallback: usual) == usual else { throw configuration.error(key, "must be \(usual)") }
    }
    let shape = ModelShape(
      vocabularySize: try configuration.size("vocab_size"), hiddenSize: hidden,
      layerCount: try configuration.size("n_layer", limit: 10_000), keyValueHeads: heads, headSize: hidden / heads,
      contextLength: try configuration.size("n_positions", "n_ctx"))
    return try GPT2(
      Configuration(
        shape: shape, heads: heads, innerSize: try configuration.size("n_inner", fallback: 4 * hidden),
        normEps: try configuration.number("layer_norm_epsilon", fallback: 1e-5, in: 0...1),
        activation: try configuration.activation("activation_function", fallback: .geluNew),
        embeddingDropout: try configuration.number("embd_pdrop", fallback: 0.1, in: 0...0.999),
        attentionDropout: try configuration.number("attn_pdrop", fallback: 0.1, in: 0...0.999),
        residualDropout: try configuration.number("resid_pdrop", fallback: 0.1, in: 0...0.999),
        isTied: try configuration.flag("tie_word_embeddings", fallback: true)))
  }
}

final class GPT2Stack: Module {
  @Child("wte") var tokens: Embedding
  @Child("wpe") var positions: Embedding
  @Children("h") var layers: [GPT2Layer]
  @Child("ln_f") var norm: LayerNorm
  @Child("prompts") var prompts: SoftPrompts
  @Child("invertible_adapters") var inputAdapters: InputAdapters
  var checkpointing = GradientCheckpointing.none
  private let dropout: Double
  private let context: Int

  init(_ configuration: GPT2.Configuration) throws(TorchError) {
    let shape = configuration.shape
    context = shape.contextLength
    dropout = configuration.embeddingDropout
    super.init()
    tokens = try Embedding(shape.vocabularySize, shape.hiddenSize)
    positions = try Embedding(context, shape.hiddenSize)
    for _ in 0..<shape.layerCount { layers.append(try GPT2Layer(configuration)) }
    norm = try LayerNorm(shape.hiddenSize, eps: configuration.normEps)
    prompts = SoftPrompts()
    inputAdapters = InputAdapters()
  }

  func forward(_ input: ModelInput) throws(TorchError) -> Tensor {
    let pass = try DecoderPass(input, embedding: tokens, prompts: prompts, layers: layers.count)
    guard pass.length <= context else {
      throw TorchError(
        .indexRange, operation: "gpt2",
        message: "a row of \(pass.length) tokens is longer than the \(context) positions this model has learnt; shorten it")
    }
    var x = try pass.rows + positions.forward(pass.positions)
    if isTraining { x = try x.dropout(dropout) }
    var stream = ResidualStream(try inputAdapters.forward(x))
    let plans = try AttentionPlans(pass, windows: Array(repeating: nil, count: layers.count))
    for (index, layer) in layers.enumerated() {
      let cache = pass.cache?.layers[index]
      let mode = cache == nil ? checkpointing.of(layer: index) : .none
      try stream.run(recomputed: mode == .full, layer, plans[index]) { (stream, plan) throws(TorchError) in
        try layer.forward(&stream, plan: plan, cache: cache, checkpointing: mode)
      }
    }
    return try pass.tokens(of: try norm.forward(&stream))
  }
}

final class GPT2Layer: Module {
  @Child("ln_1") var attentionNorm: LayerNorm
  @Child("attn") var attention: GPT2Attention
  @Child("ln_2") var feedForwardNorm: LayerNorm
  @Child("mlp") var feedForward: GPT2FeedForward
  @Child("attention_adapters") var attentionAdapters: SublayerAdapters
  @Child("output_adapters") var outputAdapters: SublayerAdapters

  init(_ configuration: GPT2.Configuration) throws(TorchError) {
    let (size, eps) = (configuration.shape.hiddenSize, configuration.normEps)
    super.init()
    attentionNorm = try LayerNorm(size, eps: eps)
    attention = try GPT2Attention(configuration)
    feedForwardNorm = try LayerNorm(size, eps: eps)
    feedForward = try GPT2FeedForward(configuration)
    attentionAdapters = SublayerAdapters()
    outputAdapters = SublayerAdapters()
  }

  func forward(
    _ stream: inout ResidualStream, plan: AttentionPlan, cache: LayerCache?, checkpointing: GradientCheckpointing.Part
  ) throws(TorchError) {
    stream.pending = try attention.forward(try attentionNorm.forward(&stream), plan: plan, cache: cache)
    try attentionAdapters.apply(to: &stream)
    try stream.run(recomputed: checkpointing == .selective, self) { [self] (stream) throws(TorchError) in
      stream.pending = try feedForward.forward(try feedForwardNorm.forward(&stream))
      try outputAdapters.apply(to: &stream)
    }
  }
}

final class GPT2Attention: Module {
  @Projected("c_attn") var queryKeyValue: any Projection
  @Projected("c_proj") var output: any Projection
  private let size: Int
  private let headSize: Int
  private let attentionDropout: Double
  private let residualDropout: Double

  init(_ configuration: GPT2.Configuration) throws(TorchError) {
    size = configuration.shape.hiddenSize
    headSize = configuration.shape.headSize
    attentionDropout = configuration.attentionDropout
    residualDropout = configuration.residualDropout
    super.init()
    queryKeyValue = try Conv1D(size, 3 * size)
    output = try Conv1D(size, size)
  }

  func forward(_ x: Tensor, plan: AttentionPlan, cache: LayerCache?) throws(TorchError) -> Tensor {
    let (rows, tokens) = (x.shape[0], x.shape[1])
    let parts = try queryKeyValue.forward(x).split(2, [size, size, size])
    func heads(_ part: Int) throws(TorchError) -> Tensor { try parts[part].reshaped(rows, tokens, -1, headSize) }
    let attended = try plan.attend(
      try heads(0), try heads(1), try heads(2), cache: cache, dropout: isTraining ? attentionDropout : 0,
      scale: 1 / Double(headSize).squareRoot())
    let out = try output.forward(try attended.reshaped(rows, tokens, size))
    return isTraining ? try out.dropout(residualDropout) : out
  }
}

final class GPT2FeedForward: Module {
  @Projected("c_fc") var widen: any Projection
  @Projected("c_proj") var narrow: any Projection
  private let activation: Activation
  private let dropout: Double

  init(_ configuration: GPT2.Configuration) throws(TorchError) {
    let size = configuration.shape.hiddenSize
    activation = configuration.activation
    dropout = configuration.residualDropout
    super.init()
    widen = try Conv1D(size, configuration.innerSize)
    narrow = try Conv1D(configuration.innerSize, size)
  }

  func forward(_ x: Tensor) throws(TorchError) -> Tensor {
    let out = try narrow.forward(try activation(try widen.forward(x)))
    return isTraining ? try out.dropout(dropout) : out
  }
}
