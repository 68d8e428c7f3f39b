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
  /// Keys and values before those of rows that begin.
  private(set) var prefixes: SegmentPrefixes?

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

  /// The plan of a pass for a layer with this window.
  public init(_ pass: DecoderPass, window: Int? = nil) throws(TorchError) {
    // Segments begin rows of their own, whatever the cache holds.
    let past = if case .segments = pass.pattern { 0 } else { pass.cache?.length ?? 0 }
    try self.init(pass.pattern, queries: try pass.rows.size(1), past: past, window: window, device: pass.rows.device)
  }

  /// The same plan with `prefixes` before the segments.
  func with(_ prefixes: SegmentPrefixes?) -> AttentionPlan {
    var plan = self
    plan.prefixes = prefixes
    return plan
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
      return try attend(q, k, v, segments: lengths, cache: cache, dropout: dropout, scale: scale)
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

  /// The same for segments: rows laid end to end.
  private func attend(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, segments: [Int], cache: LayerCache?, dropout: Double, scale: Double
  ) throws(TorchError) -> Tensor {
    let shape = q.shape
    var (k, v) = (try k.flattenedRows(), try v.flattenedRows())
    let before = prefixes?.counts ?? Array(repeating: 0, count: segments.count)
    if let prefixes { (k, v) = try prefixes.before(k, v, segments: segments) }
    let row = try Tensor.segmentAttention(
      try q.flattenedRows(), k, v, lengths: segments, before: before, window: window, dropout: dropout, scale: scale)
    try cache?.begin(k, v, segments: zip(segments, before).map(+))
    return try row.reshaped(shape)
  }
}

extension Tensor {
  /// [B, S, H, D] as [B·S, H, D].
  fileprivate func flattenedRows() throws(TorchError) -> Tensor {
    let shape = shape
    guard shape.count == 4 else {
      throw TorchError(operation: "attention", operands: [self], message: "segments of rows [B, S, H, D]")
    }
    return try shape[0] == 1 ? squeezed(0) : reshaped(shape[0] * shape[1], shape[2], shape[3])
  }
}

/// The plans of all layers of a pass, one made for each window there is.
public struct AttentionPlans {
  private var plans: [Int?: AttentionPlan] = [:]
  private let windows: [Int?]
  private let whole: AttentionPlan
  private let prefixes: [SegmentPrefixes]

  /// Plans for a pass through layers with these windows.
  public init(_ pass: DecoderPass, windows: [Int?]) throws(TorchError) {
    (self.windows, prefixes) = (windows, pass.prefixes)
    whole = try AttentionPlan(pass)
    for window in Set(windows.compactMap { $0 }) { plans[window] = try AttentionPlan(pass, window: window) }
  }

  /// The plan of layer `index`.
  public subscript(index: Int) -> AttentionPlan {
    let plan = windows[index].flatMap { plans[$0] } ?? whole
    return prefixes.isEmpty ? plan : plan.with(prefixes[index])
  }
}
