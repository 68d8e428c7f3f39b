import Torch

/// Which tokens of a batch see which others.
public enum AttentionPattern {
  /// Every row is full; a token sees itself and all before it.
  case causal
  /// One flat row of samples, of these lengths: a token sees those before it in its own sample.
  case segments([Int])
  /// Rows of different lengths: `real` [B, K] (bool) says which positions hold tokens, those in the cache included.
  case padded(real: Tensor)
}

/// An ``AttentionPattern`` made ready once for all layers of a forward pass.
public struct AttentionPlan {
  private enum Kind {
    case everything
    case causal
    case segments([Int])
    case masked(Tensor)
  }

  private let kind: Kind
  private let window: Int?

  /// - Parameters:
  ///   - pattern: who sees whom.
  ///   - queries: tokens in a row of this pass.
  ///   - past: tokens in the cache before it.
  ///   - window: a token sees itself and the `window` − 1 before it; nil for all before it.
  ///   - device: where the tensors live.
  /// - Throws: `TorchError` where segments are asked of a pass with a cache, or the window holds no token.
  public init(
    _ pattern: AttentionPattern, queries: Int, past: Int, window: Int? = nil, device: Device = .cpu
  ) throws(TorchError) {
    guard window.map({ $0 > 0 }) ?? true else {
      throw TorchError(
        operation: "attention", message: "a window of \(window ?? 0) tokens; it holds the token itself, so 1 at least")
    }
    self.window = window
    let keys = past + queries
    let needsWindow = window.map { keys > $0 } ?? false
    switch pattern {
    case .segments(let lengths):
      guard past == 0 else {
        throw TorchError(operation: "attention", message: "segments of a flat row cannot follow a cache of \(past) tokens")
      }
      kind = .segments(lengths)
    case .causal where queries == 1 && !needsWindow: kind = .everything
    case .causal where past == 0 && !needsWindow: kind = .causal
    case .causal:
      kind = .masked(try Self.mask(queries: queries, past: past, window: window, device: device))
    case .padded(let real):
      guard real.rank == 2, real.shape[1] == keys else {
        throw TorchError(operation: "attention", operands: [real], message: "the mask of tokens must be [B, \(keys)]")
      }
      let causal = try Self.mask(queries: queries, past: past, window: window, device: device)
      let rows = try real.unsqueezed(1).unsqueezed(1)
      // A padding token looks at itself, so that no row of the softmax is empty.
      let itself = try Self.mask(queries: queries, past: past, window: 1, device: device)
      kind = .masked(try causal.and(rows).or(itself))
    }
  }

  /// [1, 1, S, K]: query i, at position past + i, sees keys j with j ≤ past + i and j > past + i − window.
  private static func mask(queries: Int, past: Int, window: Int?, device: Device) throws(TorchError) -> Tensor {
    let rows = try Tensor.arange(Double(past), to: Double(past + queries), device: device).reshaped(1, 1, queries, 1)
    let columns = try Tensor.arange(to: Double(past + queries), device: device).reshaped(1, 1, 1, past + queries)
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
      let row = try Tensor.segmentAttention(
        try q.squeezed(0), try k.squeezed(0), try v.squeezed(0), lengths: lengths, window: window, dropout: dropout, scale: scale)
      return try row.unsqueezed(0)
    }
    var keys = try k.transposed(1, 2)
    var values = try v.transposed(1, 2)
    if let cache { (keys, values) = try cache.append(keys, values) }
    let mask: Tensor? = if case .masked(let mask) = kind { mask } else { nil }
    let causal: Bool = if case .causal = kind { true } else { false }
    let out = try Tensor.attention(
      try q.transposed(1, 2), keys, values, mask: mask, causal: causal, dropout: dropout, scale: scale)
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
    let queries = try input.tokens.size(1)
    let (past, device) = (input.cache?.length ?? 0, input.tokens.device)
    whole = try AttentionPlan(input.pattern, queries: queries, past: past, device: device)
    for window in Set(windows.compactMap { $0 }) {
      plans[window] = try AttentionPlan(input.pattern, queries: queries, past: past, window: window, device: device)
    }
  }

  /// The plan of layer `index`.
  public subscript(index: Int) -> AttentionPlan { windows[index].flatMap { plans[$0] } ?? whole }
}
