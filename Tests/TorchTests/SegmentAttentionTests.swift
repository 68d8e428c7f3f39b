import Foundation
import TestSupport
import Testing
import Torch

/// Attention over segments against softmax(q·kᵀ)·v written out head by head and segment by segment.
@Suite struct SegmentAttentionTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var heads = 4
    var keyHeads = 2
    var size = 8
    var lengths = [5, 1, 7]
    var window: Int?
    /// Keys before each segment.
    var before: [Int] = []
    func before(_ segment: Int) -> Int { before.isEmpty ? 0 : before[segment] }
    var testDescription: String { "\(heads)/\(keyHeads) heads of \(size), \(before) + \(lengths), window \(window ?? 0)" }
  }

  static let cases = [
    Case(), Case(keyHeads: 4), Case(heads: 3, keyHeads: 1), Case(heads: 1, keyHeads: 1, size: 1, lengths: [1]),
    Case(size: 3), Case(size: 17), Case(heads: 2, keyHeads: 1, size: 80, lengths: [33, 2]), Case(size: 577, lengths: [3, 1]),
    Case(window: 3), Case(lengths: [9, 2, 1, 3], window: 1), Case(heads: 6, keyHeads: 2, lengths: [12], window: 5),
    Case(lengths: [4, 3], window: 100), Case(heads: 2, keyHeads: 2, size: 64, lengths: [130, 70]),
    Case(before: [3, 3, 3]), Case(heads: 3, keyHeads: 1, lengths: [40, 2, 9], before: [20, 0, 33]),
    Case(lengths: [9, 2, 12], window: 4, before: [3, 5, 1]), Case(size: 64, lengths: [1, 70], window: 50, before: [40, 40]),
    Case(heads: 1, keyHeads: 1, size: 80, lengths: [1], before: [1]),
  ]

  /// The definition, in float32: no kernel of anyone's but matmul and softmax.
  private static func reference(_ q: Tensor, _ k: Tensor, _ v: Tensor, _ setting: Case, scale: Double) throws -> Tensor {
    var rows: [Tensor] = []
    var (start, keyStart) = (0, 0)
    for (segment, length) in setting.lengths.enumerated() {
      let before = setting.before(segment)
      let (span, keySpan) = (start..<start + length, keyStart..<keyStart + before + length)
      let places = try Tensor.arange(to: Double(before + length))
      let distance = try places.narrowed(0, before..<before + length).unsqueezed(1) - (try places.unsqueezed(0))
      let hidden = try (try distance .< 0).or(try distance .>= Double(setting.window ?? before + length))
      var heads: [Tensor] = []
      for head in 0..<setting.heads {
        let shared = head / (setting.heads / setting.keyHeads)
        let query = try q.narrowed(0, span).selected(1, head).to(.float32)
        let key = try k.narrowed(0, keySpan).selected(1, shared).to(.float32)
        let value = try v.narrowed(0, keySpan).selected(1, shared).to(.float32)
        let scores = try (try query.matmul(try key.transposed())) * scale
        heads.append(try scores.masked(by: hidden, fill: -.infinity).softmax().matmul(value))
      }
      rows.append(try Tensor.stacked(heads, 1))
      start += length
      keyStart += before + length
    }
    return try Tensor.concatenated(rows, 0)
  }

  private func inputs(_ setting: Case, dtype: DType) throws -> [Tensor] {
    let tokens = setting.lengths.reduce(0, +)
    let keys = tokens + setting.before.reduce(0, +)
    return [
      try .pattern([tokens, setting.heads, setting.size], scale: 2, dtype: dtype),
      try .pattern([keys, setting.keyHeads, setting.size], seed: 1, scale: 2, dtype: dtype),
      try .pattern([keys, setting.keyHeads, setting.size], seed: 2, dtype: dtype),
    ]
  }

  /// float32: 2e-6 of the largest number, for sums in another order; bfloat16: 1/32, since scores of up to 4 are exact to 1/64 only.
  private func check(_ actual: Differentiated, _ expected: Differentiated, dtype: DType) throws {
    let tolerance = dtype == .float32 ? 2e-6 : 1.0 / 32
    let pairs =
      [(actual.value, expected.value)]
      + zip(actual.gradients, expected.gradients).compactMap { pair in
        if let actual = pair.0, let expected = pair.1 { (actual, expected) } else { nil }
      }
    #expect(pairs.count == 4)
    for (place, (found, wanted)) in pairs.enumerated() {
      let largest = try wanted.to(.float32).abs().max().item()
      // Gradients of q and k cancel to nothing where a segment holds one token: what is left then is rounding of terms of size 1.
      try assertClose(
        found, wanted, relative: tolerance, absolute: tolerance * max(largest, 1), ["value", "q", "k", "v"][place])
    }
  }

  @Test(arguments: cases, [DType.float32, .bfloat16]) func equalsTheDefinition(setting: Case, dtype: DType) throws {
    let scale = 1 / Double(setting.size).squareRoot()
    let inputs = try inputs(setting, dtype: dtype)
    let expected = try differentiate(inputs) { try Self.reference($0[0], $0[1], $0[2], setting, scale: scale) }
    for fused in [true, false] {
      let actual = try withFusedKernels(fused) {
        try differentiate(inputs) {
          try Tensor.segmentAttention(
            $0[0], $0[1], $0[2], lengths: setting.lengths, before: setting.before, window: setting.window, scale: scale)
        }
      }
      #expect(actual.value.dtype == dtype)
      try check(actual, expected, dtype: dtype)
    }
  }

  @Test func stridesDoNotMatter() throws {
    let setting = Case(lengths: [4, 6], window: 3)
    let inputs = try inputs(setting, dtype: .float32)
    let plain = try differentiate(inputs) { try .segmentAttention($0[0], $0[1], $0[2], lengths: [4, 6], window: 3, scale: 0.3) }
    let turned = try differentiate(try inputs.map { try $0.transposed(0, 1).contiguous() }) {
      try .segmentAttention(
        try $0[0].transposed(0, 1), try $0[1].transposed(0, 1), try $0[2].transposed(0, 1), lengths: [4, 6], window: 3, scale: 0.3
      )
    }
    try assertClose(turned.value, plain.value, relative: 0, absolute: 0)
    for (actual, expected) in zip(turned.gradients, plain.gradients) {
      try assertClose(try #require(actual).transposed(0, 1), try #require(expected), relative: 0, absolute: 0)
    }
  }

  /// Queries, keys and values side by side in one tensor, as GPT-2's projection gives them.
  @Test(arguments: [DType.float32, .bfloat16]) func partsOfOneTensor(dtype: DType) throws {
    let lengths = [40, 3]
    let all = try Tensor.pattern([43, 4 * 16 + 2 * 16 + 2 * 16], scale: 2, dtype: dtype)
    func run(_ body: (Tensor) throws -> Tensor) throws -> Differentiated {
      try differentiate([all]) { whole in
        let parts = try whole[0].split(1, [64, 32, 32]).map { try body(try $0.reshaped(43, -1, 16)) }
        return try .segmentAttention(parts[0], parts[1], parts[2], lengths: lengths, scale: 0.25)
      }
    }
    let (apart, together) = (try run { try $0.contiguous() }, try run { $0 })
    try assertClose(together.value, apart.value, relative: 0, absolute: 0)
    try assertClose(try #require(together.gradients[0]), try #require(apart.gradients[0]), relative: 0, absolute: 0)
  }

  @Test func otherTypes() throws {
    let setting = Case()
    let wide = try inputs(setting, dtype: .float64)
    let expected = try Self.reference(wide[0], wide[1], wide[2], setting, scale: 0.3)
    let double = try Tensor.segmentAttention(wide[0], wide[1], wide[2], lengths: setting.lengths, scale: 0.3)
    try assertClose(double, expected, absolute: 1e-5)
    let half = try wide.map { try $0.to(.float16) }
    let short = try Tensor.segmentAttention(half[0], half[1], half[2], lengths: setting.lengths, scale: 0.3)
    try assertClose(short, expected, absolute: 1.0 / 256)
    #expect(throws: TorchError.self) {
      try Tensor.segmentAttention(wide[0], half[1], half[2], lengths: setting.lengths, scale: 1)
    }
    let whole = try wide.map { try $0.to(.int64) }
    #expect(throws: TorchError.self) {
      try Tensor.segmentAttention(whole[0], whole[1], whole[2], lengths: setting.lengths, scale: 1)
    }
    #expect(throws: TorchError.self) {
      try Tensor.segmentAttention(wide[0], wide[1], wide[2], lengths: setting.lengths, window: 0, scale: 1)
    }
  }

  @Test func dropoutKeepsTheMean() throws {
    let ones = try Tensor.ones([64, 8, 4])
    let out = try Tensor.segmentAttention(ones, ones, ones, lengths: [64], dropout: 0.25, scale: 1)
    #expect(abs(try out.mean().item() - 1) < 0.2)
    #expect(try out.max().item() > out.min().item(), "some weights were dropped")
  }
}
