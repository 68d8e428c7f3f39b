import Torch

/// Sizes that callers of a model ask for.
public struct ModelShape: Sendable, Hashable {
  /// Rows of the token table.
  public var vocabularySize: Int
  /// Features of a token.
  public var hiddenSize: Int
  /// Layers.
  public var layerCount: Int
  /// Key/value heads of a layer.
  public var keyValueHeads: Int
  /// Features of a head.
  public var headSize: Int
  /// Tokens of context the model was made for.
  public var contextLength: Int

  /// The sizes by name.
  public init(
    vocabularySize: Int, hiddenSize: Int, layerCount: Int, keyValueHeads: Int, headSize: Int, contextLength: Int
  ) {
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.layerCount = layerCount
    self.keyValueHeads = keyValueHeads
    self.headSize = headSize
    self.contextLength = contextLength
  }
}

/// What a forward pass takes. B rows of S tokens.
public struct ModelInput {
  /// Token ids [B, S] int64.
  public var tokens: Tensor
  /// Each token's position in its own sample [B, S] int64.
  public var positions: Tensor
  /// One more than the highest position.
  public var length: Int
  /// Who sees whom.
  public var pattern: AttentionPattern
  /// Where keys and values are kept between passes.
  public var cache: KVCache?
  /// The task of each row that begins, which a soft prompt may look at; empty where nobody says.
  public var tasks: [Int] = []
  /// What a flat row was filled up to a multiple of, and with how many tokens: a last segment that nobody looks at.
  private(set) var multiple = 1
  private(set) var filling = 0

  /// Whether rows begin, and do not go on behind what a cache holds.
  var beginsRows: Bool {
    if case .segments = pattern { return true }
    return cache?.lengths.isEmpty ?? true
  }

  /// The parts of a pass.
  public init(
    tokens: Tensor, positions: Tensor, length: Int, pattern: AttentionPattern = .causal, cache: KVCache? = nil
  ) {
    self.tokens = tokens
    self.positions = positions
    self.length = length
    self.pattern = pattern
    self.cache = cache
  }

  /// Full rows of equally many tokens, each after what its row of the cache holds.
  public init(rows: [[Int32]], cache: KVCache? = nil, device: Device = .cpu) throws(TorchError) {
    let count = rows.first?.count ?? 0
    guard count > 0, rows.allSatisfy({ $0.count == count }) else {
      throw TorchError(operation: "input", message: "rows must hold equally many tokens, one at least")
    }
    let held = cache?.lengths ?? []
    let past = held.isEmpty ? Array(repeating: 0, count: rows.count) : held
    guard past.count == rows.count else {
      throw TorchError(operation: "input", message: "\(rows.count) rows of tokens for a cache of \(past.count) rows")
    }
    tokens = try Tensor(rows.flatMap { $0 }, shape: [rows.count, count]).to(.int64).to(device)
    positions = try Tensor(past.flatMap { Int64($0)..<Int64($0 + count) }, shape: [rows.count, count]).to(device)
    length = (past.max() ?? 0) + count
    pattern = .causal
    self.cache = cache
  }

  /// One flat row of samples laid end to end, each with positions from 0 and eyes for itself only.
  ///
  /// - Parameters:
  ///   - tokens: the ids of all samples.
  ///   - positions: each token's place in its sample.
  ///   - segments: the samples' lengths.
  ///   - cache: where each segment begins a row; such a row is not filled up.
  ///   - multiple: the row is filled up to a multiple of this with a sample that nobody looks at. Kernels are made for each
  ///     length of row: rows of few lengths save the time and memory of making thousands.
  ///   - device: where the tensors are made.
  ///
  /// - Throws: `TorchError` where tokens and positions are not equally many, or the segments do not add up to them.
  public init(
    flat tokens: [Int32], positions: [Int32], segments: [Int], cache: KVCache? = nil, filledTo multiple: Int = 1,
    device: Device = .cpu
  ) throws(TorchError) {
    guard !tokens.isEmpty, tokens.count == positions.count, segments.reduce(0, +) == tokens.count else {
      throw TorchError(
        operation: "input",
        message: "\(tokens.count) tokens with \(positions.count) positions in segments of \(segments.reduce(0, +)) tokens")
    }
    self.multiple = cache == nil ? multiple : 1
    filling = (self.multiple - tokens.count % self.multiple) % self.multiple
    let tokens = tokens + Array(repeating: 0, count: filling)
    let positions = positions + Array(repeating: 0, count: filling)
    let segments = filling > 0 ? segments + [filling] : segments
    self.tokens = try Tensor(tokens, shape: [1, tokens.count]).to(.int64).to(device)
    self.positions = try Tensor(positions, shape: [1, positions.count]).to(.int64).to(device)
    length = Int(positions.max() ?? 0) + 1
    pattern = .segments(segments)
    self.cache = cache
  }
}

/// A language model that predicts each token from those before it.
public protocol CausalLM: Module {
  /// The sizes callers ask for.
  var shape: ModelShape { get }
  /// The token table.
  var embedding: Embedding { get }
  /// The projection onto the vocabulary, which an adapter may wrap; its weight is the token table's where the two are tied.
  var head: any Projection { get set }
  /// The head that scores texts, `score`; nil where the model has none.
  var score: Linear? { get set }
  /// Whether head and token table are one.
  var isTied: Bool { get }
  /// What is computed again in the backward pass instead of being kept.
  var gradientCheckpointing: GradientCheckpointing { get set }
  /// What adapters let stand before every row of tokens.
  var prompts: SoftPrompts { get }
  /// What the head takes: [B, S, d], after the last norm. Virtual tokens are not among the rows.
  func hidden(_ input: ModelInput) throws(TorchError) -> Tensor
}

extension CausalLM {
  /// Scores of every token of the vocabulary: [B, S, V].
  public func logits(_ input: ModelInput) throws(TorchError) -> Tensor { try head.forward(try hidden(input)) }

  /// Tokens that a row may have: the context without the virtual tokens that stand before each row.
  public var tokenLimit: Int { tokenLimit(behind: prompts.count) }

  /// Tokens that a row may have behind `virtual` virtual ones.
  public func tokenLimit(behind virtual: Int) -> Int { max(0, shape.contextLength - virtual) }

  /// A cache for this model.
  public func makeCache() -> KVCache { KVCache(layers: shape.layerCount) }

  /// Where its parameters live.
  public var device: Device { embedding.weight.device }

  /// The element type it computes in: that of its frozen parameters.
  public var dtype: DType { embedding.outputDType ?? embedding.weight.dtype }
}
