import TestSupport
import Testing
import Torch

/// Products of bfloat16 block by block, with each engine that this processor has, against float64.
///
/// Tolerance: inputs are the same numbers of bfloat16 on both sides, so that what is left is the rounding of the results to bfloat16,
/// 1/256 of each, and of intermediate results, 1/128 of the largest number.
@Suite struct BlockProductTests {
  static let sizes = [(1, 32, 32), (33, 70, 45), (64, 576, 96), (130, 1000, 33)]

  private func check(_ actual: Differentiated, _ expected: Differentiated, _ name: String) throws {
    let pairs =
      [(actual.value, expected.value)] + zip(actual.gradients, expected.gradients).compactMap { a, e in e.map { (a!, $0) } }
    for (place, (own, reference)) in pairs.enumerated() {
      let largest = try reference.abs().max().item()
      try assertClose(own, reference, relative: 1.0 / 128, absolute: largest / 128, "\(name), \(place)")
    }
  }

  @Test func everyProcessorHasFloat32() {
    let before = BlockEngine.current
    let inside = BlockEngine.float32.run { BlockEngine.current }
    #expect(inside == .float32 && BlockEngine.current == before)
  }

  @Test(arguments: BlockEngine.allCases, sizes) func linear(engine: BlockEngine, size: (Int, Int, Int)) throws {
    let (rows, inputs, outputs) = size
    let x = try Tensor.pattern([rows, inputs], dtype: .bfloat16)
    let weight = try Tensor.pattern([outputs, inputs], seed: 1, scale: 0.3, dtype: .bfloat16)
    let turned = try weight.transposed(0, 1).contiguous()
    let a = try Tensor.pattern([4, inputs], seed: 3, scale: 0.4), b = try Tensor.pattern([outputs, 4], seed: 4)
    let update = LowRankUpdate(a: a, b: b, scale: 0.5, dropout: 0)
    let fed = try Tensor.pattern([rows, 2 * outputs], seed: 5, dtype: .bfloat16)
    try engine.run {
      let both = try differentiate([x], cotangent: fed) {
        try Tensor.concatenated(
          try $0[0].linears([LinearWeight(weight), LinearWeight(turned, isTransposed: true, update: update)]), 1)
      }
      let reference = try differentiate([try x.to(.float64)], cotangent: fed) {
        let wide = try weight.to(.float64)
        let change = try $0[0].linear(try a.to(.float64)).linear(try b.to(.float64)) * 0.5
        let plain = try $0[0].linear(wide)
        return try Tensor.concatenated([plain, try plain + change], 1)
      }
      try check(both, reference, "\(rows) × \(inputs) → \(outputs)")
    }
  }

  @Test(arguments: BlockEngine.allCases) func attention(engine: BlockEngine) throws {
    let inputs = try [4, 2, 2].enumerated().map { try Tensor.pattern([70, $1, 24], seed: $0, dtype: .bfloat16) }
    func attend(_ x: [Tensor]) throws -> Tensor {
      try Tensor.segmentAttention(x[0], x[1], x[2], lengths: [37, 33], scale: 0.2)
    }
    let fed = try Tensor.pattern([70, 4, 24], seed: 5, dtype: .bfloat16)
    try engine.run {
      let own = try differentiate(inputs, cotangent: fed, attend)
      let reference = try differentiate(try inputs.map { try $0.to(.float64) }, cotangent: fed, attend)
      try check(own, reference, "attention")
    }
  }

  @Test(arguments: BlockEngine.allCases) func vocabulary(engine: BlockEngine) throws {
    let hidden = try Tensor.pattern([50, 40], dtype: .bfloat16)
    let weight = try Tensor.pattern([333, 40], seed: 1, scale: 0.4, dtype: .bfloat16)
    let targets = try Tensor((0..<50).map { Int64($0 * 7 % 333) })
    try engine.run {
      let own = try differentiate([hidden]) { try $0[0].linearCrossEntropy(weight: weight, targets: targets) }
      let reference = try differentiate([try hidden.to(.float64)]) {
        try $0[0].linear(try weight.to(.float64)).logSoftmax(1).gathered(1, try targets.unsqueezed(1)).sum() * -1
      }
      try check(own, reference, "vocabulary")
    }
  }
}
