import NN
import TestSupport
import Testing
import Torch

/// Attention with a cache, with padding and over segments gives what attention over the whole row gives.
@Suite struct CacheTests {
  private let scale = 1 / 8.0.squareRoot()

  /// q [B, S, 4, 8]; k, v [B, S, 2, 8].
  private func heads(rows: Int, tokens: Int, seed: Int = 0) throws -> (q: Tensor, k: Tensor, v: Tensor) {
    (
      try .pattern([rows, tokens, 4, 8], seed: seed, scale: 2), try .pattern([rows, tokens, 2, 8], seed: seed + 1, scale: 2),
      try .pattern([rows, tokens, 2, 8], seed: seed + 2)
    )
  }

  private func attend(
    _ all: (q: Tensor, k: Tensor, v: Tensor), _ span: Range<Int>, _ cache: KVCache, window: Int? = nil
  ) throws -> Tensor {
    let plan = try AttentionPlan(.causal, queries: span.count, past: cache.length, window: window)
    return try plan.attend(
      try all.q.narrowed(1, span), try all.k.narrowed(1, span), try all.v.narrowed(1, span), cache: cache.layers[0], scale: scale)
  }

  @Test(arguments: [nil, 1, 3, 6, 100] as [Int?]) func cachedEqualsWhole(window: Int?) throws {
    let all = try heads(rows: 2, tokens: 14)
    let whole = try AttentionPlan(.causal, queries: 14, past: 0, window: window).attend(all.q, all.k, all.v, scale: scale)
    let cache = KVCache(layers: 1, block: 4)
    for span in [0..<5, 5..<6, 6..<7, 7..<12, 12..<13, 13..<14] {
      let part = try attend(all, span, cache, window: window)
      try assertClose(part, try whole.narrowed(1, span), absolute: 2e-6, "tokens \(span)")
      #expect(cache.length == span.upperBound)
    }
  }

  @Test(arguments: [1, 3, 64, 0, -5]) func anyBlockSizeHoldsTheSame(block: Int) throws {
    let all = try heads(rows: 1, tokens: 70)
    let whole = try AttentionPlan(.causal, queries: 70, past: 0).attend(all.q, all.k, all.v, scale: scale)
    let cache = KVCache(layers: 1, block: block)
    for token in 0..<70 {
      try assertClose(try attend(all, token..<token + 1, cache), try whole.narrowed(1, token..<token + 1), absolute: 2e-6)
    }
  }

  @Test func repeatedPrefix() throws {
    let all = try heads(rows: 1, tokens: 9)
    let shared = KVCache(layers: 1, block: 4)
    _ = try attend(all, 0..<6, shared)
    let copies = try shared.repeated(3)
    #expect(copies.length == 6 && shared.length == 6)
    let next = try heads(rows: 3, tokens: 2, seed: 9)
    let out = try attend(next, 0..<2, copies)
    #expect(shared.length == 6, "the shared prefix is as it was")
    for row in 0..<3 {
      let alone = try shared.repeated(1)
      let own = (
        q: try next.q.narrowed(0, row..<row + 1), k: try next.k.narrowed(0, row..<row + 1),
        v: try next.v.narrowed(0, row..<row + 1)
      )
      try assertClose(try out.narrowed(0, row..<row + 1), try attend(own, 0..<2, alone), absolute: 2e-6, "row \(row)")
    }
    #expect(try KVCache(layers: 2).repeated(3).length == 0)
  }

  @Test func keepingRows() throws {
    let all = try heads(rows: 3, tokens: 8)
    let whole = try AttentionPlan(.causal, queries: 8, past: 0).attend(all.q, all.k, all.v, scale: scale)
    let cache = KVCache(layers: 1, block: 4)
    _ = try attend(all, 0..<7, cache)
    try cache.keep(rows: [2, 0])
    let places = try Tensor([2, 0] as [Int64])
    let rest = (q: try all.q.indexed(0, places), k: try all.k.indexed(0, places), v: try all.v.indexed(0, places))
    let out = try attend(rest, 7..<8, cache)
    try assertClose(out, try whole.indexed(0, places).narrowed(1, 7..<8), absolute: 2e-6)
    #expect(throws: TorchError.self) { try cache.keep(rows: [2]) }
  }

  @Test func rowsThatDoNotFitAreRefused() throws {
    let cache = KVCache(layers: 1)
    _ = try attend(try heads(rows: 3, tokens: 4), 0..<4, cache)
    let one = try heads(rows: 1, tokens: 1)
    #expect(throws: TorchError.self) { try attend(one, 0..<1, cache) }
    #expect(cache.length == 4)
  }

  @Test func paddedEqualsUnpadded() throws {
    let all = try heads(rows: 2, tokens: 7)
    for (name, span, real) in [
      ("in front", 3..<7, [Bool](repeating: false, count: 3) + [true, true, true, true]),
      ("behind", 0..<4, [true, true, true, true] + [Bool](repeating: false, count: 3)),
    ] {
      let mask = try Tensor(real + [Bool](repeating: true, count: 7), shape: [2, 7])
      for window in [nil, 2] as [Int?] {
        let plan = try AttentionPlan(.padded(real: mask), queries: 7, past: 0, window: window)
        let out = try plan.attend(all.q, all.k, all.v, scale: scale)
        let own = try [all.q, all.k, all.v].map { try $0.narrowed(0, 0..<1).narrowed(1, span) }
        let alone = try AttentionPlan(.causal, queries: 4, past: 0, window: window).attend(own[0], own[1], own[2], scale: scale)
        try assertClose(try out.narrowed(0, 0..<1).narrowed(1, span), alone, absolute: 2e-6, "padding \(name)")
        let full = try [all.q, all.k, all.v].map { try $0.narrowed(0, 1..<2) }
        let other = try AttentionPlan(.causal, queries: 7, past: 0, window: window).attend(
          full[0], full[1], full[2], scale: scale)
        try assertClose(try out.narrowed(0, 1..<2), other, absolute: 2e-6)
        #expect(try out.isFinite().all(), "rows of padding hold numbers, too")
      }
    }
  }

  @Test func plansThatCannotBe() throws {
    #expect(throws: TorchError.self) { try AttentionPlan(.segments([2]), queries: 2, past: 3) }
    #expect(throws: TorchError.self) { try AttentionPlan(.causal, queries: 2, past: 0, window: 0) }
    let all = try heads(rows: 2, tokens: 3)
    let mask = try Tensor([true, true])
    #expect(throws: TorchError.self) { try AttentionPlan(.padded(real: mask), queries: 2, past: 0) }
    let wide = try Tensor([true, true], shape: [1, 2])
    #expect(throws: TorchError.self) { try AttentionPlan(.padded(real: wide), queries: 2, past: 1) }
    let continued = try AttentionPlan(.causal, queries: 3, past: 2)
    #expect(throws: TorchError.self) { try continued.attend(all.q, all.k, all.v, scale: 1) }
    let flat = try AttentionPlan(.segments([3]), queries: 3, past: 0)
    #expect(throws: TorchError.self) { try flat.attend(all.q, all.k, all.v, scale: 1) }
  }

  @Test func plansOfLayersWithDifferentWindows() throws {
    let all = try heads(rows: 1, tokens: 9)
    let input = try ModelInput(rows: [[Int32](repeating: 1, count: 9)])
    let windows = [nil, 3, nil, 5] as [Int?]
    let pass = try DecoderPass(input, embedding: try Embedding(2, 4), prompts: SoftPrompts(), layers: windows.count)
    let plans = try AttentionPlans(pass, windows: windows)
    for (layer, window) in windows.enumerated() {
      let alone = try AttentionPlan(.causal, queries: 9, past: 0, window: window)
      let expected = try alone.attend(all.q, all.k, all.v, scale: scale)
      try assertClose(try plans[layer].attend(all.q, all.k, all.v, scale: scale), expected, relative: 0, absolute: 0)
    }
  }

  @Test func inputs() throws {
    let flat = try ModelInput(flat: [5, 6, 7], positions: [0, 1, 0], segments: [2, 1])
    #expect(flat.tokens.shape == [1, 3] && flat.tokens.dtype == .int64 && flat.length == 2)
    #expect(throws: TorchError.self) { try ModelInput(flat: [5], positions: [0, 1], segments: [1]) }
    #expect(throws: TorchError.self) { try ModelInput(flat: [5, 6], positions: [0, 1], segments: [1]) }
    #expect(throws: TorchError.self) { try ModelInput(flat: [], positions: [], segments: []) }
    let cache = KVCache(layers: 1)
    _ = try attend(try heads(rows: 2, tokens: 4), 0..<4, cache)
    let rows = try ModelInput(rows: [[1, 2], [3, 4]], cache: cache)
    #expect(rows.length == 6)
    #expect(try rows.positions.array(Int64.self) == [4, 5, 4, 5])
    #expect(throws: TorchError.self) { try ModelInput(rows: [[1, 2]], cache: cache) }
    #expect(throws: TorchError.self) { try ModelInput(rows: [[1, 2], [3]]) }
    #expect(throws: TorchError.self) { try ModelInput(rows: []) }
    #expect(throws: TorchError.self) { try ModelInput(rows: [[]]) }
  }
}
