import Torch

/// Which tokens of a batch see which others.
public enum AttentionPattern {
  /// Every row is full; a token sees itself and all before it, those of its row in the cache included.
  case causal
  /// One flat row of samples, of these lengths: a token sees those before it in its own sample. Where there is a cache, each
  /// sample begins a row of it.
  case segments([Int])
  /// Rows filled up to one length, without a cache: `real` [B, S] (bool) says which positions hold tokens.
  case padded(real: Tensor)
}

/// An ``AttentionPattern`` made ready once for all layers of a forward pass.
public struct AttentionPlan {
  private enum Kind {
    case everything
    case causal
    case segments([Int])
    case masked(Tensor)
    /// Behind what a cache holds.
    case continued
  }

  private let kind: Kind
  private let window: Int?

  /// - Parameters:
  ///   - pattern: who sees whom.
  ///   - queries: tokens in a row of this pass.
  ///   - past: tokens in the longest row of the cache before it.
  ///   - window: a token sees itself and the `window` − 1 before it; nil for all before it.
  ///   - device: where the tensors live.
  /// - Throws: `TorchError` where segments or padded rows are to follow tokens of a cache, or the window holds no token.
  public init(
    _ pattern: AttentionPattern, queries: Int, past: Int, window: Int? = nil, device: Device = .cpu
  ) throws(TorchError) {
    guard window.map({ $0 > 0 }) ?? true else {
      throw TorchError(
        operation: "attention", message: "a window of \(window ?? 0) tokens; it holds the token itself, so 1 at least")
    }
    self.window = window
    let needsWindow = window.map { queries > $0 } ?? false
    switch pattern {
    case .segments(let lengths):
      guard past == 0 else {
        throw TorchError(operation: "attention", message: "segments of a flat row cannot follow a cache of \(past) tokens")
      }
      kind = .segments(lengths)
    case .causal where past > 0: kind = .continued
    case .causal where queries == 1: kind = .everything
    case .causal where !needsWindow: kind = .causal
    case .causal: kind = .masked(try Self.mask(queries: queries, window: window, device: device))
    case .padded(let real):
      guard past == 0, real.rank == 2, real.shape[1] == queries else {
        throw TorchError(
          operation: "attention", operands: [real],
          message: "the mask of tokens must be [B, \(queries)], for a pass without a cache")
      }
      let causal = try Self.mask(queries: queries, window: window, device: device)
      let rows = try real.unsqueezed(1).unsqueezed(1)
      // A padding token looks at itself, so that no row of the softmax is empty.
      let itself = try Self.mask(queries: queries, window: 1, device: device)
      kind = .masked(try causal.and(rows).or(itself))
    }
  }

  /// The plan of a pass of `input` for a layer with this window.
  public init(_ input: ModelInput, window: Int? = nil) throws(TorchError) {
    // Segments begin rows of their own, whatever the cache holds.
    let past = if case .segments = input.pattern { 0 } else { input.cache?.length ?? 0 }
    try self.init(
      input.pattern, queries: try input.tokens.size(1), past: past, window: window, device: input.tokens.device)
  }

  /// [1, 1, S, S]: query i sees keys j with j ≤ i and j > i − window.
  private static func mask(queries: Int, window: Int?, device: Device) throws(TorchError) -> Tensor {
    let rows = try Tensor.arange(to: Double(queries), device: device).reshaped(1, 1, queries, 1)
    let columns = try rows.transposed(2, 3)
    let seen = try columns .<= rows
    guard let window else { return seen }
    let oldest = try rows - Double(window)
    return try seen.and(try oldest .< columns)
  }

  /// Attention of one layer.
  ///
  /// q [B, S, H, D]; k, v [B, S, Hk, D] → [B, S, H, D]. Where `cache` is given, k and v are put into it and all it holds is seen.
  public func attend(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, cache: LayerCache? = nil, dropout: Double = 0, scale: Double
  ) throws(TorchError) -> Tensor {
    if case .segments(let lengths) = kind {
      let (q, k, v) = (try q.squeezed(0), try k.squeezed(0), try v.squeezed(0))
      let row = try Tensor.segmentAttention(q, k, v, lengths: lengths, window: window, dropout: dropout, scale: scale)
      try cache?.begin(k, v, segments: lengths)
      return try row.unsqueezed(0)
    }
    if let cache {
      if cache.rowCount > 0 { return try cache.attend(q, k, v, window: window, scale: scale) }
      let shape = k.shape
      let flat = [shape[0] * shape[1], shape[2], shape[3]]
      let segments = Array(repeating: shape[1], count: shape[0])
      try cache.begin(try k.reshaped(flat), try v.reshaped(flat), segments: segments)
    } else if case .continued = kind {
      throw TorchError(operation: "attention", operands: [q, k, v], message: "a plan for tokens behind a cache needs the cache")
    }
    let mask: Tensor? = if case .masked(let mask) = kind { mask } else { nil }
    let causal: Bool = if case .causal = kind { true } else { false }
    let out = try Tensor.attention(
      try q.transposed(1, 2), try k.transposed(1, 2), try v.transposed(1, 2), mask: mask, causal: causal, dropout: dropout,
      scale: scale)
    return try out.transposed(1, 2)
  }
}

/// The plans of all layers of a pass, one made for each window there is.
public struct AttentionPlans {
  private var plans: [Int?: AttentionPlan] = [:]
  private let windows: [Int?]
  private let whole: AttentionPlan

  /// Plans for a pass of `input` through layers with these windows.
  public init(_ input: ModelInput, windows: [Int?]) throws(TorchError) {
    self.windows = windows
    whole = try AttentionPlan(input)
    for window in Set(windows.compactMap { $0 }) { plans[window] = try AttentionPlan(input, window: window) }
  }

  /// The plan of layer `index`.
  public subscript(index: Int) -> AttentionPlan { windows[index].flatMap { plans[$0] } ?? whole }
}
