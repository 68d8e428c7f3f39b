import CTorch

extension Tensor {
  /// The rows of this table [V, d] at `indices` (int64).
  public func embedding(_ indices: Tensor) throws(TorchError) -> Tensor {
    try Tensor.make("embedding", self, indices) { ct_embedding(raw, indices.raw, $0) }
  }

  /// (x − mean)/√(var + eps)·weight + bias over the last dimension. Ba et al., arXiv:1607.06450.
  public func layerNorm(_ weight: Tensor, _ bias: Tensor, eps: Double) throws(TorchError) -> Tensor {
    try Tensor.make("layer_norm", self, weight, bias) { ct_layer_norm(raw, weight.raw, bias.raw, eps, $0) }
  }

  /// weight·x/√(mean(x²) + eps) over the last dimension. Zhang & Sennrich, arXiv:1910.07467.
  public func rmsNorm(_ weight: Tensor, eps: Double) throws(TorchError) -> Tensor {
    try Tensor.make("rms_norm", self, weight) { ct_rms_norm(raw, weight.raw, eps, $0) }
  }

  /// The sum with `delta`, and the sum's norm: ``layerNorm(_:_:eps:)`` where there is a bias, else ``rmsNorm(_:eps:)``; in one
  /// pass over memory, as are the gradients of both.
  public func addAndNorm(
    _ delta: Tensor, weight: Tensor, bias: Tensor? = nil, eps: Double
  ) throws(TorchError) -> (sum: Tensor, normed: Tensor) {
    var (sum, normed) = (ct_tensor(), ct_tensor())
    try Tensor.run("add_and_norm", self, delta, weight, bias) {
      ct_add_and_norm(raw, delta.raw, weight.raw, bias?.raw ?? ct_tensor(), eps, &sum, &normed)
    }
    return (Tensor(owning: sum), Tensor(owning: normed))
  }

  /// Elements zeroed with probability `p`, the rest scaled by 1/(1 − p); from libtorch's default generator.
  public func dropout(_ p: Double) throws(TorchError) -> Tensor {
    if p == 0 { return self }
    return try Tensor.make("dropout", self) { ct_dropout(raw, p, $0) }
  }

  /// Rotary position embedding. x [B, S, H, D]; cos, sin [B, S, R/2] float32, R ≤ D. Su et al., arXiv:2104.09864.
  public func rotary(cos: Tensor, sin: Tensor) throws(TorchError) -> Tensor {
    try Tensor.make("rotary", self, cos, sin) { ct_rotary(raw, cos.raw, sin.raw, $0) }
  }

  /// silu(self)·up. Shazeer, arXiv:2002.05202.
  public func swiglu(_ up: Tensor) throws(TorchError) -> Tensor {
    try Tensor.make("swiglu", self, up) { ct_swiglu(raw, up.raw, $0) }
  }

  /// softmax(q·kᵀ·scale + mask)·v. q [B, H, S, D]; k, v [B, Hk, K, D] with H a multiple of Hk.
  ///
  /// - Parameters:
  ///   - q: queries.
  ///   - k: keys.
  ///   - v: values.
  ///   - mask: boolean (true: may look) or additive, broadcastable to [B, H, S, K]; excludes `causal`.
  ///   - causal: query i looks at keys ≤ i.
  ///   - dropout: share of the weights that are zeroed.
  ///   - scale: factor of q·kᵀ.
  public static func attention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, mask: Tensor? = nil, causal: Bool = false, dropout: Double = 0, scale: Double
  ) throws(TorchError) -> Tensor {
    try make("attention", q, k, v, mask) {
      ct_attention(q.raw, k.raw, v.raw, mask?.raw ?? ct_tensor(), causal, dropout, scale, $0)
    }
  }

  /// Causal attention inside each segment of one flat row. q [T, H, D]; k, v [T + Σ before, Hk, D]; `lengths` sum to T.
  ///
  /// - Parameters:
  ///   - q: queries.
  ///   - k: keys.
  ///   - v: values.
  ///   - lengths: tokens of each segment.
  ///   - before: keys that stand before those of each segment's tokens, and which all of them see; empty for none.
  ///   - window: a token sees itself and the `window` − 1 before it, 1 or more; nil for all before it.
  ///   - dropout: share of the weights that are zeroed.
  ///   - scale: factor of q·kᵀ.
  public static func segmentAttention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, lengths: [Int], before: [Int] = [], window: Int? = nil, dropout: Double = 0,
    scale: Double
  ) throws(TorchError) -> Tensor {
    guard before.isEmpty || before.count == lengths.count else {
      throw TorchError(
        operation: "segment_attention", operands: [q, k, v],
        message: "keys before \(before.count) segments, and there are \(lengths.count)")
    }
    guard window.map({ $0 > 0 }) ?? true else {
      throw TorchError(operation: "segment_attention", operands: [q, k, v], message: "a window of \(window ?? 0) tokens")
    }
    let first = before.isEmpty ? Array(repeating: 0, count: lengths.count) : before
    return try make("segment_attention", q, k, v) {
      ct_segment_attention(
        q.raw, k.raw, v.raw, lengths.int64, first.int64, Int64(lengths.count), Int64(window ?? 0), dropout, scale, $0)
    }
  }

  /// The states of a bidirectional LSTM that starts from zeros, forward beside backward: self [n, d] → [n, 2·h]. Hochreiter &
  /// Schmidhuber, 1997.
  ///
  /// - Parameters:
  ///   - weights: for each layer forward, then backward: those of the input [4h, ..], those of the state [4h, h], two biases [4h].
  ///   - layers: how many there are, each taking the states of the one before.
  ///   - dropout: share of the states between layers that are zeroed.
  public func bidirectionalLSTM(_ weights: [Tensor], layers: Int, dropout: Double = 0) throws(TorchError) -> Tensor {
    try Tensor.make("lstm", list: [self] + weights) {
      ct_bidirectional_lstm(raw, weights.map(\.raw), Int64(weights.count), Int64(layers), dropout, $0)
    }
  }

  /// Σ −log softmax(self·weightᵀ + bias)[target], in float32, without the logits ever being whole.
  ///
  /// self [N, d]; weight [V, d]; bias [V]; targets [N] int64. Gradients are made in the forward pass, `chunk` rows at a time.
  public func linearCrossEntropy(
    weight: Tensor, bias: Tensor? = nil, targets: Tensor, chunk: Int = 256
  ) throws(TorchError) -> Tensor {
    try Tensor.make("linear_cross_entropy", self, weight, targets, bias) {
      ct_linear_cross_entropy(raw, weight.raw, bias?.raw ?? ct_tensor(), targets.raw, Int64(chunk), $0)
    }
  }

  /// log softmax(self·weightᵀ + bias)[target] of each row, in float32, without the logits ever being whole: [N], each with a gradient of
  /// its own.
  ///
  /// self [N, d]; weight [V, d]; bias [V]; targets [N] int64. Logits exist for `chunk` rows at a time, or for a part of the vocabulary.
  public func linearLogProbs(
    weight: Tensor, bias: Tensor? = nil, targets: Tensor, chunk: Int = 256
  ) throws(TorchError) -> Tensor {
    try Tensor.make("linear_log_probs", self, weight, targets, bias) {
      ct_linear_log_probs(raw, weight.raw, bias?.raw ?? ct_tensor(), targets.raw, Int64(chunk), $0)
    }
  }

  /// log softmax(self)[target] for each row, in float32. self [.., V]; targets [..] int64.
  public func tokenLogProbs(_ targets: Tensor) throws(TorchError) -> Tensor {
    try Tensor.make("token_log_probs", self, targets) { ct_token_log_probs(raw, targets.raw, $0) }
  }
}
