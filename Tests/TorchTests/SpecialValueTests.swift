import TestSupport
import Testing
import Torch

/// Zeros, numbers near the end of the range, infinities and NaN go through the kernels as through the composition.
@Suite struct SpecialValueTests {
  private static let rows: [[Float]] = [
    [0, 0, 0, 0], [-0.0, 0, 1, -1], [1e30, -1e30, 1e30, 1], [1e-30, 1e-30, -1e-30, 0], [.nan, 1, 2, 3],
    [.infinity, 1, 2, 3], [-.infinity, -1, 1, 0], [1e19, -1e19, 1, 0], [-1e30, -200, -104, -89], [88, 89, 90, 3e38],
  ]

  private func both(
    _ inputs: [Tensor], _ body: ([Tensor]) throws -> Tensor
  ) throws -> (fused: Differentiated, composed: Differentiated) {
    (
      try withFusedKernels(true) { try differentiate(inputs, body) },
      try withFusedKernels(false) { try differentiate(inputs, body) }
    )
  }

  @Test(arguments: [DType.float32, .bfloat16]) func rmsNorm(dtype: DType) throws {
    let x = try Tensor(Self.rows.flatMap { $0 }, shape: [Self.rows.count, 4]).to(dtype)
    let weight = try Tensor([1, 0.5, -2, 1] as [Float]).to(dtype)
    let (fused, composed) = try both([x, weight]) { try $0[0].rmsNorm($0[1], eps: 1e-5) }
    let tolerance = dtype == .float32 ? 1e-6 : 1.0 / 64
    try assertClose(fused.value, composed.value, relative: tolerance, absolute: 1e-30)
  }

  @Test(arguments: [DType.float32, .bfloat16]) func swiglu(dtype: DType) throws {
    let gate = try Tensor(Self.rows.flatMap { $0 }, shape: [Self.rows.count, 4]).to(dtype)
    for factor in [1, 1e30, -0.5] {
      let up = try Tensor.full(gate.shape, factor, dtype: dtype)
      let (fused, composed) = try both([gate, up]) { try $0[0].swiglu($0[1]) }
      let tolerance = dtype == .float32 ? 2e-6 : 1.0 / 64
      try assertClose(fused.value, composed.value, relative: tolerance, absolute: 1e-12 * abs(factor), "times \(factor)")
      for place in 0..<2 {
        let (actual, expected) = (try #require(fused.gradients[place]), try #require(composed.gradients[place]))
        try assertClose(
          actual, expected, relative: 4 * tolerance, absolute: 1e-6 * max(1, abs(factor)), "gradient \(place) times \(factor)")
      }
    }
  }

  @Test(arguments: [DType.float32, .bfloat16]) func rotary(dtype: DType) throws {
    let x = try Tensor(Self.rows.flatMap { $0 }, shape: [1, Self.rows.count, 1, 4]).to(dtype)
    let angles = try Tensor.pattern([1, Self.rows.count, 2], scale: 3)
    let (fused, composed) = try both([x]) { try $0[0].rotary(cos: try angles.cos(), sin: try angles.sin()) }
    try assertClose(fused.value, composed.value, relative: dtype == .float32 ? 1e-6 : 1.0 / 64, absolute: 1e-6 * 1e-30)
  }

  @Test func roundingToBfloat16TakesTheEvenNeighbour() throws {
    // bfloat16 has steps of 1/128 above 1: these products lie halfway, and just beside the middle.
    let factors: [Float] = [1 + 1 / 256, 1 + 3 / 256, 1 + 1 / 256 + 1 / 65536, 1 + 3 / 256 - 1 / 65536, 3e38]
    let x = try Tensor([Float](repeating: 1, count: 8) + [3, -3], shape: [1, 5, 1, 2]).to(.bfloat16)
    let (cos, sin) = (try Tensor(factors, shape: [1, 5, 1]), try Tensor.zeros([1, 5, 1]))
    let out = try x.rotary(cos: cos, sin: sin).to(.float32).array(Float.self)
    let whole: [Float] = [1, 1 + 2 / 128, 1 + 1 / 128, 1 + 1 / 128]
    #expect(out == whole.flatMap { [$0, $0] } + [.infinity, -.infinity])
  }

  @Test func roundingToBfloat16KeepsNaN() throws {
    let odd = try Tensor([.nan, -.nan, .infinity, -.infinity, 3.4e38] as [Float])
    let weight = try Tensor.ones([5], dtype: .bfloat16)
    let out = try odd.to(.bfloat16).swiglu(weight).to(.float32).array(Float.self)
    #expect(out[0].isNaN && out[1].isNaN && out[2] == .infinity && out[3].isNaN && out[4] == .infinity)
  }
}
