import Foundation
import TestSupport
import Testing
import Torch

/// Products with packed weights against products with the same weights expanded, by the same kernels.
@Suite struct PackedLinearTests {
  /// Rows, features in and out, and the rank of an update, if any.
  struct Case: Sendable {
    let rows: Int, inputs: Int, outputs: Int, rank: Int
  }

  static let cases = [
    Case(rows: 40, inputs: 96, outputs: 64, rank: 0), Case(rows: 33, inputs: 320, outputs: 200, rank: 4),
    Case(rows: 5, inputs: 64, outputs: 33, rank: 2), Case(rows: 17, inputs: 37, outputs: 19, rank: 3),
    Case(rows: 70, inputs: 600, outputs: 310, rank: 0), Case(rows: 1, inputs: 300, outputs: 40, rank: 2),
  ]
  static let formats: [PackedWeight.Format] = [.nf4, .fp4, .int8]

  private func run(_ setting: Case, _ dtype: DType, bias: Tensor?, _ make: (Tensor?) -> LinearWeight) throws -> Differentiated {
    let x = try Tensor.pattern([setting.rows, setting.inputs], dtype: dtype)
    let a = try Tensor.pattern([max(1, setting.rank), setting.inputs], seed: 3, scale: 0.4)
    let b = try Tensor.pattern([setting.outputs, max(1, setting.rank)], seed: 4)
    return try differentiate([x, a, b]) {
      var weight = make(bias)
      if setting.rank > 0 { weight.update = LowRankUpdate(a: $0[1], b: $0[2], scale: 0.7, dropout: 0) }
      return try $0[0].linears([weight])[0]
    }
  }

  @Test(arguments: cases, [DType.float32, .bfloat16]) func likeTheExpandedWeight(setting: Case, dtype: DType) throws {
    for format in Self.formats {
      let weight = try Tensor.pattern([setting.outputs, setting.inputs], seed: 1, scale: 0.3, dtype: dtype)
      let packed = try PackedWeight(packing: weight, as: format)
      let (dense, bias) = (try packed.expanded(), try Tensor.pattern([setting.outputs], seed: 2, dtype: dtype))
      for fused in [true, false] {
        try withFusedKernels(fused) {
          let own = try run(setting, dtype, bias: bias) { LinearWeight(packed: packed, bias: $0) }
          let reference = try run(setting, dtype, bias: bias) { LinearWeight(dense, bias: $0) }
          let tolerance = dtype == .float32 ? 2e-5 : 0.02
          let largest = try reference.value.abs().max().item()
          try assertClose(own.value, reference.value, absolute: tolerance * largest, "\(format), value")
          for (place, (actual, expected)) in zip(own.gradients, reference.gradients).enumerated() {
            guard let expected else { continue }
            let largest = try expected.abs().max().item()
            try assertClose(try #require(actual), expected, absolute: tolerance * largest, "\(format), gradient \(place)")
          }
        }
      }
    }
  }

  /// Packed panels hold the same numbers, so that not a bit differs.
  @Test(arguments: cases) func blockByBlockToTheBit(setting: Case) throws {
    guard setting.rows >= 16 else { return }
    for format in Self.formats {
      let weight = try Tensor.pattern([setting.outputs, setting.inputs], seed: 1, scale: 0.3, dtype: .bfloat16)
      let packed = try PackedWeight(packing: weight, as: format)
      let dense = try packed.expanded()
      let own = try run(setting, .bfloat16, bias: nil) { LinearWeight(packed: packed, bias: $0) }
      let reference = try run(setting, .bfloat16, bias: nil) { LinearWeight(dense, bias: $0) }
      #expect(try own.value.isEqual(to: reference.value), "\(format)")
      #expect(try #require(own.gradients[0]).isEqual(to: try #require(reference.gradients[0])), "\(format)")
    }
  }

  @Test(arguments: [1, 2, 4, 5, 16, 40], [DType.float32, .bfloat16]) func withoutGradients(rows: Int, dtype: DType) throws {
    for format in Self.formats {
      for (inputs, outputs) in [(64, 33), (100, 7), (2100, 40)] {
        let packed = try PackedWeight(
          packing: try .pattern([outputs, inputs], seed: 1, scale: 0.3, dtype: dtype), as: format)
        let dense = try packed.expanded()
        let x = try Tensor.pattern([rows, inputs], dtype: dtype)
        let expected = try x.to(.float64).linear(try dense.to(.float64))
        let size = try x.to(.float64).abs().linear(try dense.to(.float64).abs()).max().item()
        let found = try Torch.withoutGradients { () throws(TorchError) in try x.linears([LinearWeight(packed: packed)])[0] }
        // In 8 bits the products are scaled and not the numbers, which saves their rounding to bfloat16.
        try assertClose(
          found, expected, relative: dtype == .float32 ? 1e-6 : 1.0 / 200, absolute: (dtype == .float32 ? 2e-6 : 3e-3) * size,
          "\(format), \(rows) × \(inputs) → \(outputs)")
      }
    }
  }

  @Test func beside() throws {
    let x = try Tensor.pattern([20, 64], dtype: .bfloat16)
    let dense = try Tensor.pattern([30, 64], seed: 1, dtype: .bfloat16)
    let packed = try PackedWeight(packing: try .pattern([50, 64], seed: 2, dtype: .bfloat16), as: .nf4)
    let both = try differentiate([x]) {
      try Tensor.concatenated(try $0[0].linears([LinearWeight(dense), LinearWeight(packed: packed)]), 1)
    }
    let whole = try Tensor.concatenated([dense, try packed.expanded()], 0)
    let reference = try differentiate([x]) { try $0[0].linear(whole) }
    try assertClose(both.value, reference.value, absolute: 1e-3)
    try assertClose(try #require(both.gradients[0]), try #require(reference.gradients[0]), relative: 1.0 / 64, absolute: 0.1)
  }

  @Test func sizesAndRefusals() throws {
    let packed = try PackedWeight(packing: try .pattern([512, 512], dtype: .bfloat16), as: .nf4)
    #expect(packed.byteCount < 512 * 512 * 34 / 64)
    let x = try Tensor.pattern([32, 512], dtype: .bfloat16)
    #expect(throws: TorchError.self, "a bias of another length") {
      try x.linears([LinearWeight(packed: packed, bias: try .ones([3]))])
    }
  }
}
