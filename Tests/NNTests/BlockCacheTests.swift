import NN
import TestSupport
import Testing
import Torch

/// Rows of a cache in blocks: of different lengths, sharing what they begin with, coming and going.
///
/// Each row is compared with attention over that row alone, from libtorch's operations. Tolerances: 2e-6 in float32, where the
/// two differ by the order of additions; 1/64 in bfloat16, where libtorch's weights of the softmax are rounded and ours are not.
@Suite struct BlockCacheTests {
  private let scale = 1 / 8.0.squareRoot()

  /// One row's tokens: q [1, S, 6, D]; k, v [1, S, 2, D].
  private struct Row {
    let q, k, v: Tensor

    init(_ tokens: Int, seed: Int, features: Int = 8, heads: Int = 6, dtype: DType = .float32) throws {
      q = try .pattern([1, tokens, heads, features], seed: 3 * seed, scale: 2, dtype: dtype)
      k = try .pattern([1, tokens, 2, features], seed: 3 * seed + 1, scale: 2, dtype: dtype)
      v = try .pattern([1, tokens, 2, features], seed: 3 * seed + 2, dtype: dtype)
    }

    init(_ parts: [Tensor]) { (q, k, v) = (parts[0], parts[1], parts[2]) }

    func part(_ span: Range<Int>) throws -> Row { Row(try [q, k, v].map { try $0.narrowed(1, span) }) }

    func followed(by other: Row) throws -> Row {
      Row([try .concatenated([q, other.q], 1), try .concatenated([k, other.k], 1), try .concatenated([v, other.v], 1)])
    }
  }

  /// Attention over a whole row without a cache.
  private func alone(_ row: Row, window: Int? = nil) throws -> Tensor {
    try AttentionPlan(.causal, queries: row.q.shape[1], past: 0, window: window).attend(row.q, row.k, row.v, scale: scale)
  }

  /// Begins rows of a cache with the first tokens of each.
  private func begin(_ rows: [Row], _ lengths: [Int], _ cache: KVCache) throws {
    let parts = try zip(rows, lengths).map { try $0.part(0..<$1) }
    let plan = try AttentionPlan(.segments(lengths), queries: lengths.reduce(0, +), past: 0)
    _ = try plan.attend(
      try .concatenated(parts.map(\.q), 1), try .concatenated(parts.map(\.k), 1), try .concatenated(parts.map(\.v), 1),
      cache: cache.layers[0], scale: scale)
  }

  /// Passes the next `count` tokens of each row and compares what comes out.
  private func goOn(
    _ rows: [Row], _ count: Int, _ cache: KVCache, window: Int? = nil, tolerance: Double = 2e-6, _ label: String = ""
  ) throws {
    let past = cache.lengths
    let parts = try zip(rows, past).map { try $0.part($1..<$1 + count) }
    let plan = try AttentionPlan(.causal, queries: count, past: cache.length, window: window)
    let out = try plan.attend(
      try .concatenated(parts.map(\.q), 0), try .concatenated(parts.map(\.k), 0), try .concatenated(parts.map(\.v), 0),
      cache: cache.layers[0], scale: scale)
    for (index, row) in rows.enumerated() {
      let end = past[index] + count
      let expected = try alone(try row.part(0..<end), window: window).narrowed(1, past[index]..<end)
      try assertClose(try out.narrowed(0, index..<index + 1), expected, absolute: tolerance, "\(label) row \(index)")
    }
  }

  @Test(arguments: [1, 3, 16, 64], [nil, 1, 5] as [Int?]) func rowsOfDifferentLengths(block: Int, window: Int?) throws {
    for isFused in [true, false] {
      try withFusedKernels(isFused) {
        let rows = try (0..<3).map { try Row(80, seed: $0) }
        let cache = KVCache(layers: 1, block: block)
        try begin(rows, [62, 1, 7], cache)
        #expect(cache.lengths == [62, 1, 7] && cache.length == 62)
        for count in [1, 1, 1, 3, 1] { try goOn(rows, count, cache, window: window, "block \(block)") }
        #expect(cache.lengths == [69, 8, 14])
      }
    }
  }

  @Test(arguments: [4, 20, 64], [2, 6, 14]) func sizesOfHeadsAndTypes(features: Int, heads: Int) throws {
    for dtype in [DType.float32, .bfloat16] {
      let rows = try (0..<2).map { try Row(70, seed: $0, features: features, heads: heads, dtype: dtype) }
      let cache = KVCache(layers: 1, block: 16)
      try begin(rows, [60, 17], cache)
      // Scores of 64 features reach 30, and their rounding is that of the weights: 30·2⁻²³ a step, over a few steps.
      let tolerance = dtype == .float32 ? 2e-5 : 1.0 / 64
      for count in [1, 2, 1] { try goOn(rows, count, cache, tolerance: tolerance, "\(features) features, \(heads) heads") }
    }
  }

  @Test func manyTokensBehindACache() throws {
    let rows = try (0..<2).map { try Row(60, seed: $0) }
    let cache = KVCache(layers: 1, block: 8)
    try begin(rows, [5, 12], cache)
    for count in [16, 17, 1] { try goOn(rows, count, cache) }
  }

  @Test func rowsThatEndLeaveTheOthersAlone() throws {
    let rows = try (0..<4).map { try Row(40, seed: $0) }
    let cache = KVCache(layers: 1, block: 4)
    try begin(rows, [3, 9, 4, 1], cache)
    try goOn(rows, 1, cache)
    try cache.keep(rows: [3, 1])
    try goOn([rows[3], rows[1]], 5, cache)
    // A new row takes the blocks of those that left.
    try begin([rows[2]], [20], cache)
    try goOn([rows[3], rows[1], rows[2]], 1, cache)
    try cache.keep(rows: [2])
    try goOn([rows[2]], 1, cache)
    #expect(throws: TorchError.self) { try cache.keep(rows: [1]) }
    #expect(throws: TorchError.self) { try cache.keep(rows: [-1]) }
    try cache.keep(rows: [])
    #expect(cache.length == 0)
  }

  @Test func sharedBlocksAreCopiedWhenWrittenTo() throws {
    let prefix = try Row(6, seed: 9)
    let tails = try (0..<3).map { try Row(9, seed: $0) }
    let rows = try tails.map { try prefix.followed(by: $0) }
    for block in [3, 4, 64] {
      let shared = KVCache(layers: 1, block: block)
      try begin([prefix], [6], shared)
      let copies = try shared.repeated(3)
      for _ in 0..<4 { try goOn(rows, 1, copies, "block \(block),") }
      #expect(shared.lengths == [6], "the shared prefix is as it was")
      let again = try shared.repeated(2)
      try goOn([rows[2], rows[0]], 3, again)
      try goOn(rows, 1, copies, "after others wrote,")
      // A row that stands twice goes on in two ways.
      try copies.keep(rows: [1, 1])
      let other = try rows[1].part(0..<11).followed(by: try Row(3, seed: 7))
      try goOn([rows[1], other], 2, copies)
      #expect(throws: TorchError.self) { try copies.repeated(2) }
    }
  }

  @Test func rowsOfASiblingJoin() throws {
    let rows = try (0..<3).map { try Row(30, seed: $0) }
    let cache = KVCache(layers: 1, block: 4)
    try begin([rows[0]], [7], cache)
    let other = cache.sibling()
    try begin(Array(rows[1...]), [2, 12], other)
    try cache.append(other)
    #expect(cache.lengths == [7, 2, 12])
    try goOn(rows, 1, cache)
    try goOn(Array(rows[1...]), 1, other)
    try goOn(rows, 1, cache)
    #expect(throws: TorchError.self) { try cache.append(KVCache(layers: 1)) }
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let cache = KVCache(layers: 2, block: 4)
    let row = try Row(9, seed: 0)
    try begin([row], [3], cache)
    let narrow = try Row(9, seed: 0, features: 4).part(3..<4)
    let plan = try AttentionPlan(.causal, queries: 1, past: 3)
    #expect(throws: TorchError.self) { try plan.attend(narrow.q, narrow.k, narrow.v, cache: cache.layers[0], scale: 1) }
    let half = try Row(9, seed: 0, dtype: .bfloat16).part(3..<4)
    #expect(throws: TorchError.self) { try plan.attend(half.q, half.k, half.v, cache: cache.layers[0], scale: 1) }
    let heads = try Row(9, seed: 0, heads: 3).part(3..<4)
    #expect(throws: TorchError.self) { try plan.attend(heads.q, heads.k, heads.v, cache: cache.layers[0], scale: 1) }
    #expect(cache.lengths == [3] || cache.lengths == [4])
  }
}
