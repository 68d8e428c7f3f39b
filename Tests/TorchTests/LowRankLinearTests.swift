import TestSupport
import Testing
import Torch

/// A low-rank projection in one operation against the same from libtorch's operations, and the products it is made of.
///
/// Tolerances. float32: the order of additions, 5e-6 of the largest number. bfloat16: the composition rounds its low-rank part and the
/// sum, the operation rounds the factors and once at the end; 1/32 of the largest number where they cancel.
@Suite struct LowRankLinearTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var rows = 5
    var inputs = 64
    var outputs = 96
    var rank = 8
    var transposed = false
    var bias = true
    var testDescription: String {
      "\(rows) rows, \(inputs) to \(outputs), rank \(rank)\(transposed ? ", transposed" : "")\(bias ? ", bias" : "")"
    }
  }

  static let cases = [
    Case(), Case(rows: 1), Case(rows: 33, transposed: true), Case(rows: 70, inputs: 48, outputs: 17, rank: 3, bias: false),
    Case(rows: 64, inputs: 577, outputs: 130, rank: 33), Case(rows: 40, inputs: 1, outputs: 1, rank: 1, transposed: true),
    Case(rows: 100, inputs: 300, outputs: 260, rank: 16, transposed: true, bias: false),
  ]

  private func inputs(_ setting: Case, dtype: DType) throws -> (x: Tensor, weight: Tensor, bias: Tensor?, a: Tensor, b: Tensor) {
    let shape = setting.transposed ? [setting.inputs, setting.outputs] : [setting.outputs, setting.inputs]
    return (
      try .pattern([setting.rows, setting.inputs], dtype: dtype), try .pattern(shape, seed: 1, scale: 0.3, dtype: dtype),
      setting.bias ? try .pattern([setting.outputs], seed: 2, dtype: dtype) : nil,
      try .pattern([setting.rank, setting.inputs], seed: 3, scale: 0.4), try .pattern([setting.outputs, setting.rank], seed: 4)
    )
  }

  @Test(arguments: cases, [DType.float32, .bfloat16]) func likeTheComposition(setting: Case, dtype: DType) throws {
    let (x, weight, bias, a, b) = try inputs(setting, dtype: dtype)
    func run(_ fused: Bool) throws -> Differentiated {
      try withFusedKernels(fused) {
        try differentiate([x, a, b]) {
          let update = LowRankUpdate(a: $0[1], b: $0[2], scale: 0.7, dropout: 0)
          return try $0[0].linears([
            LinearWeight(weight, bias: bias, isTransposed: setting.transposed, update: update)
          ])[0]
        }
      }
    }
    let (own, reference) = (try run(true), try run(false))
    try check(own.value, reference.value, dtype, "value")
    for (place, (actual, expected)) in zip(own.gradients, reference.gradients).enumerated() {
      try check(try #require(actual), try #require(expected), dtype, "gradient \(place)")
    }
  }

  @Test(arguments: cases, [DType.float32, .bfloat16]) func frozenLinearLikeTheComposition(setting: Case, dtype: DType) throws {
    let (x, weight, bias, _, _) = try inputs(setting, dtype: dtype)
    func run(_ fused: Bool) throws -> Differentiated {
      try withFusedKernels(fused) {
        try differentiate([x]) { try $0[0].linear(weight, bias, transposed: setting.transposed) }
      }
    }
    let (own, reference) = (try run(true), try run(false))
    try check(own.value, reference.value, dtype, "value")
    try check(try #require(own.gradients[0]), try #require(reference.gradients[0]), dtype, "gradient")
  }

  /// Three projections of one input in one call, one of them plain, whose gradients for the input are summed in the call.
  @Test(arguments: [DType.float32, .bfloat16]) func severalOfOneInput(dtype: DType) throws {
    let x = try Tensor.pattern([45, 96], dtype: dtype)
    let weights = try [64, 40, 200].enumerated().map { try Tensor.pattern([$1, 96], seed: $0, scale: 0.3, dtype: dtype) }
    let factors = try [64, 200].flatMap {
      [try Tensor.pattern([8, 96], seed: 9, scale: 0.4), try Tensor.pattern([$0, 8], seed: $0)]
    }
    func run(_ fused: Bool) throws -> Differentiated {
      try withFusedKernels(fused) {
        try differentiate([x] + factors) {
          let first = LowRankUpdate(a: $0[1], b: $0[2], scale: 0.7, dropout: 0)
          let last = LowRankUpdate(a: $0[3], b: $0[4], scale: 1.3, dropout: 0)
          let outs = try $0[0].linears([
            LinearWeight(weights[0], update: first), LinearWeight(weights[1]), LinearWeight(weights[2], update: last),
          ])
          return try Tensor.concatenated(outs, 1)
        }
      }
    }
    let (own, reference) = (try run(true), try run(false))
    try check(own.value, reference.value, dtype, "value")
    for (place, (actual, expected)) in zip(own.gradients, reference.gradients).enumerated() {
      try check(try #require(actual), try #require(expected), dtype, "gradient \(place)")
    }
  }

  /// Weight and bias learn too; in bfloat16 they may be float32, whose gradients are then float32 as well.
  @Test(arguments: cases, [(DType.float32, DType.float32), (.bfloat16, .bfloat16), (.bfloat16, .float32)])
  func learntWeight(setting: Case, types: (x: DType, weight: DType)) throws {
    let (x, weight, bias, a, b) = try inputs(setting, dtype: types.x)
    let numbers = try [weight, bias].compactMap { try $0?.to(types.weight) }
    func run(_ fused: Bool) throws -> Differentiated {
      try withFusedKernels(fused) {
        try differentiate([x, a, b] + numbers) {
          let update = LowRankUpdate(a: $0[1], b: $0[2], scale: 0.7, dropout: 0)
          let bias = $0.count > 4 ? $0[4] : nil
          let both = try $0[0].linears([
            LinearWeight($0[3], bias: bias, isTransposed: setting.transposed),
            LinearWeight($0[3], isTransposed: setting.transposed, update: update),
          ])
          return try Tensor.concatenated(both, 1)
        }
      }
    }
    let (own, reference) = (try run(true), try run(false))
    try check(own.value, reference.value, types.x, "value")
    for (place, (actual, expected)) in zip(own.gradients, reference.gradients).enumerated() {
      let found = try #require(actual)
      #expect(place == 0 || found.dtype == (place < 3 ? .float32 : types.weight))
      try check(found, try #require(expected), types.x, "gradient \(place)")
    }
  }

  /// Of two updates one is frozen, and of the other A: what is left gets the gradient it has when all learn.
  @Test(arguments: [DType.float32, .bfloat16]) func frozenFactors(dtype: DType) throws {
    let x = try Tensor.pattern([40, 64], dtype: dtype)
    let weight = try Tensor.pattern([96, 64], seed: 1, scale: 0.3, dtype: dtype)
    func gradients(learning places: Set<Int>) throws -> [Tensor?] {
      let factors = try [[8, 64], [96, 8], [8, 64], [96, 8]].enumerated().map { try Tensor.pattern($1, seed: $0 + 2) }
      for place in places { try factors[place].setRequiresGradient(true) }
      let outs = try x.linears([
        LinearWeight(weight, update: LowRankUpdate(a: factors[0], b: factors[1], scale: 1, dropout: 0)),
        LinearWeight(weight, update: LowRankUpdate(a: factors[2], b: factors[3], scale: 2, dropout: 0)),
      ])
      try (try outs[0] * outs[1]).to(.float32).sum().backward()
      return try factors.map { try $0.gradient() }
    }
    let (some, all) = (try gradients(learning: [3]), try gradients(learning: [0, 1, 2, 3]))
    #expect(some[..<3].allSatisfy { $0 == nil })
    #expect(try #require(some[3]).isEqual(to: try #require(all[3])))
  }

  /// With B·A and a weight of 0 what comes out is the dropped input, so that its mask can be read off and compared with the gradient's.
  @Test(arguments: [DType.float32, .bfloat16]) func dropoutsGradientHasItsMask(dtype: DType) throws {
    let size = 64
    let eye = try (try Tensor.arange(to: Double(size)).unsqueezed(1) .== (try Tensor.arange(to: Double(size)).unsqueezed(0))).to(
      .float32)
    let x = try Tensor.ones([96, size]).to(dtype)
    let weight = try Tensor.zeros([size, size]).to(dtype)
    let run = try differentiate([x]) {
      try $0[0].linears([LinearWeight(weight, update: LowRankUpdate(a: eye, b: eye, scale: 1, dropout: 0.25))])[0]
    }
    let kept = try (try run.value.to(.float32) .> 0.5).to(.float32)
    let share = try kept.mean().item()
    #expect(abs(share - 0.75) < 0.03, "6,144 draws: a share of 0.75 has a standard deviation of 0.0055, here it is \(share)")
    // The gradient of a kept element is what reached it, times 4/3; of a dropped one 0.
    let seen = try (try (try #require(run.gradients[0])).to(.float32).abs() .> 0).to(.float32)
    try assertClose(seen, kept)
  }

  private func check(_ actual: Tensor, _ expected: Tensor, _ dtype: DType, _ what: String) throws {
    let largest = max(1, try expected.abs().max().item())
    try assertClose(
      try actual.to(.float32), try expected.to(.float32), relative: dtype == .float32 ? 5e-6 : 1.0 / 64,
      absolute: (dtype == .float32 ? 5e-6 : 1.0 / 32) * largest, what)
  }
}

/// Dropout from a counter.
@Suite struct CountedDropoutTests {
  @Test(arguments: [DType.float32, .bfloat16], [1, 31, 32, 100]) func meanAndShare(dtype: DType, width: Int) throws {
    let rows = 20_000 / width
    let x = try Tensor.ones([rows, width]).to(dtype)
    let run = try differentiate([x]) { try $0[0].dropout(0.1) }
    let kept = try (try run.value.to(.float32) .> 0).to(.float32)
    #expect(try abs(kept.mean().item() - 0.9) < 0.01, "20,000 draws: five standard deviations of 0.0021")
    try assertClose(try run.value.to(.float32), try kept * (1 / 0.9), relative: dtype == .float32 ? 2e-5 : 1.0 / 128)
    let seen = try (try (try #require(run.gradients[0])).to(.float32).abs() .> 0).to(.float32)
    try assertClose(seen, kept)
  }

  @Test func aSeedGivesItsMaskAgainAndTheNextCallAnother() throws {
    let x = try Tensor.ones([8, 64])
    try RandomState.seed(7)
    let (first, second) = (try x.dropout(0.5), try x.dropout(0.5))
    try RandomState.seed(7)
    let again = try x.dropout(0.5)
    #expect(try first.isEqual(to: again))
    #expect(try !first.isEqual(to: second))
    #expect(try !first.selected(0, 0).isEqual(to: try first.selected(0, 1)), "rows have masks of their own")
  }
}
