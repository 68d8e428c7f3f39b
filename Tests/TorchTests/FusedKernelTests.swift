import TestSupport
import Testing
import Torch

/// The kernels of one pass against the same from libtorch's own operations: values and gradients.
///
/// Tolerances. float32: the two differ by the order of additions and by the exponential's last bit, 2e-6 of the largest number.
/// bfloat16 has steps of 1/128: the composition rounds after each operation and the kernels once, so that results may lie two
/// steps apart where they are large, and 1/64 of the largest number apart where terms cancel.
@Suite struct FusedKernelTests {
  static let sizes = [1, 3, 17, 577]
  static let types: [DType] = [.float32, .bfloat16]

  /// Runs `body` both ways and compares values and gradients.
  private func compare(
    _ name: String, _ inputs: [Tensor], dtype: DType, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: ([Tensor]) throws -> Tensor
  ) throws {
    let fused = try withFusedKernels(true) { try differentiate(inputs, body) }
    let composed = try withFusedKernels(false) { try differentiate(inputs, body) }
    let tolerance = dtype == .float32 ? 2e-6 : 1.0 / 64
    func check(_ actual: Tensor, _ expected: Tensor, _ what: String) throws {
      // What is left where terms of size 1 cancel, as in the norm of a single number, is their rounding.
      let largest = expected.count == 0 ? 0 : max(1, try expected.abs().max().item())
      try assertClose(
        actual, expected, relative: tolerance, absolute: tolerance * largest, "\(name), \(what)", sourceLocation: sourceLocation)
      #expect(actual.dtype == expected.dtype, sourceLocation: sourceLocation)
    }
    try check(fused.value, composed.value, "value")
    for (place, (actual, expected)) in zip(fused.gradients, composed.gradients).enumerated() {
      try check(try #require(actual), try #require(expected), "gradient of input \(place)")
    }
  }

  @Test(arguments: sizes, types) func rmsNorm(n: Int, dtype: DType) throws {
    let x = try Tensor.pattern([3, 5, n], scale: 3, dtype: dtype)
    let weight = try Tensor.pattern([n], seed: 1, scale: 0.5, offset: 1, dtype: dtype)
    try compare("rms_norm", [x, weight], dtype: dtype) { try $0[0].rmsNorm($0[1], eps: 1e-5) }
    try compare("rms_norm of a transposed tensor", [try x.transposed(1, 2).contiguous(), weight], dtype: dtype) {
      try $0[0].transposed(1, 2).rmsNorm($0[1], eps: 1e-5)
    }
    try compare("rms_norm of every other row", [x, weight], dtype: dtype) {
      try $0[0].narrowed(1, 1..<4).rmsNorm($0[1], eps: 1e-2)
    }
    try compare("rms_norm of one row", [try x.selected(0, 0).selected(0, 0), weight], dtype: dtype) {
      try $0[0].rmsNorm($0[1], eps: 1e-5)
    }
  }

  @Test(arguments: sizes, types) func layerNorm(n: Int, dtype: DType) throws {
    let x = try Tensor.pattern([3, 5, n], scale: 3, offset: 0.5, dtype: dtype)
    let weight = try Tensor.pattern([n], seed: 1, scale: 0.5, offset: 1, dtype: dtype)
    let bias = try Tensor.pattern([n], seed: 2, dtype: dtype)
    try compare("layer_norm", [x, weight, bias], dtype: dtype) { try $0[0].layerNorm($0[1], $0[2], eps: 1e-2) }
    try compare("layer_norm of every other row", [x, weight, bias], dtype: dtype) {
      try $0[0].narrowed(1, 1..<4).layerNorm($0[1], $0[2], eps: 1e-2)
    }
  }

  /// Both results are used, so that both gradients meet in the sum.
  @Test(arguments: sizes, types) func addAndNorm(n: Int, dtype: DType) throws {
    let x = try Tensor.pattern([3, 5, n], scale: 3, dtype: dtype)
    let delta = try Tensor.pattern([3, 5, n], seed: 3, dtype: dtype)
    let weight = try Tensor.pattern([n], seed: 1, scale: 0.5, offset: 1, dtype: dtype)
    let bias = try Tensor.pattern([n], seed: 2, dtype: dtype)
    try compare("rms_norm", [x, delta, weight], dtype: dtype) {
      let (sum, normed) = try $0[0].addAndNorm($0[1], weight: $0[2], eps: 1e-2)
      return try Tensor.stacked([sum, normed])
    }
    try compare("layer_norm", [x, delta, weight, bias], dtype: dtype) {
      let (sum, normed) = try $0[0].addAndNorm($0[1], weight: $0[2], bias: $0[3], eps: 1e-2)
      return try Tensor.stacked([sum, normed])
    }
    for used in 0..<2 {
      try compare("one result", [x, delta], dtype: dtype) {
        let (sum, normed) = try $0[0].addAndNorm($0[1], weight: weight, eps: 1e-2)
        return used == 0 ? sum : normed
      }
    }
  }

  @Test func rmsNormWithAWeightOfAnotherTypeTakesTheWider() throws {
    let x = try Tensor.pattern([2, 8], dtype: .bfloat16)
    let weight = try Tensor.pattern([8], offset: 1)
    let out = try x.rmsNorm(weight, eps: 1e-5)
    #expect(out.dtype == .float32, "as torch promotes bfloat16 times float32")
    try assertClose(out, try x.to(.float32).rmsNorm(try Tensor.ones([8]), eps: 1e-5).to(.bfloat16).to(.float32) * weight)
  }

  @Test(arguments: sizes, types) func swiglu(n: Int, dtype: DType) throws {
    let gate = try Tensor.pattern([2, 3, n], scale: 6, dtype: dtype)
    let up = try Tensor.pattern([2, 3, n], seed: 1, scale: 2, dtype: dtype)
    try compare("swiglu", [gate, up], dtype: dtype) { try $0[0].swiglu($0[1]) }
    try compare("swiglu of transposed tensors", [gate, up], dtype: dtype) {
      try $0[0].transposed().swiglu(try $0[1].transposed())
    }
    let joined = try Tensor.concatenated([gate, up], -1)
    try compare("swiglu of two halves of one tensor", [joined], dtype: dtype) {
      try $0[0].narrowed(-1, 0..<n).swiglu(try $0[0].narrowed(-1, n..<2 * n))
    }
  }

  @Test func swigluOverTheWholeRange() throws {
    let gate = try Tensor.arange(-120, to: 120, step: 0.37, dtype: .float32)
    let wide = try gate.to(.float64)
    let expected = try wide.silu()
    let fused = try gate.swiglu(try Tensor.ones(gate.shape))
    try assertClose(fused, expected, relative: 5e-7, absolute: 1e-35, "to a few units in the last place")
  }

  @Test(arguments: [(8, 8), (8, 6), (7, 4), (17, 2), (577, 576), (3, 0), (2, 2)], types)
  func rotary(widths: (head: Int, turned: Int), dtype: DType) throws {
    let x = try Tensor.pattern([2, 5, 3, widths.head], scale: 2, dtype: dtype)
    let angles = try Tensor.pattern([2, 5, widths.turned / 2], seed: 3, scale: 7)
    let (cos, sin) = (try angles.cos(), try angles.sin())
    try compare("rotary", [x], dtype: dtype) { try $0[0].rotary(cos: cos, sin: sin) }
    try compare("rotary of heads before positions", [try x.transposed(1, 2).contiguous()], dtype: dtype) {
      try $0[0].transposed(1, 2).rotary(cos: cos, sin: sin)
    }
    let row = try cos.narrowed(0, 0..<1).expanded(2, -1, -1)
    try compare("rotary with angles shared by stride", [x], dtype: dtype) { try $0[0].rotary(cos: row, sin: row) }
  }

  @Test func rotaryTurnsHalves() throws {
    let x = try Tensor([1, 2, 3, 4, 5] as [Float], shape: [1, 1, 1, 5])
    let (cos, sin) = (try Tensor([0, 0.6] as [Float], shape: [1, 1, 2]), try Tensor([1, 0.8] as [Float], shape: [1, 1, 2]))
    try assertClose(try x.rotary(cos: cos, sin: sin), [-3, 2 * 0.6 - 4 * 0.8, 1, 4 * 0.6 + 2 * 0.8, 5])
    #expect(throws: TorchError.self) { try x.rotary(cos: try cos.to(.bfloat16), sin: try sin.to(.bfloat16)) }
  }

  @Test(arguments: types) func manyRows(dtype: DType) throws {
    let x = try Tensor.pattern([640, 96], scale: 3, dtype: dtype)
    let weight = try Tensor.pattern([96], seed: 1, offset: 1, dtype: dtype)
    try compare("rms_norm over threads", [x, weight], dtype: dtype) { try $0[0].rmsNorm($0[1], eps: 1e-5) }
    try compare("swiglu over threads", [x, x], dtype: dtype) { try $0[0].swiglu($0[1]) }
  }
}
