import TestSupport
import Testing
import Torch

/// Products of a few rows against the same numbers in float64.
///
/// Tolerances. Sums are float32 over products that are exact or rounded once: 2e-6 of Σ |x·w|. Results in bfloat16 are rounded
/// once more, by 1/256 of the result. 8-bit numbers are exact in bfloat16, and their scale multiplies the sum.
@Suite struct FewRowsTests {
  /// Features that fill a step of the kernels, leave some over, or do not reach one.
  static let sizes = [1, 7, 31, 32, 33, 64, 100]
  static let rows = [1, 2, 3, 5, 16, 17, 33, 64, 65]

  private func double(_ tensor: Tensor) throws -> Tensor { try tensor.to(.float64) }

  @Test(arguments: sizes, rows) func bfloat16(inputs: Int, rows: Int) throws {
    let x = try Tensor.pattern([rows, inputs], scale: 2, dtype: .bfloat16)
    for outputs in [1, 15, 16, 17, 33, 70] {
      let w = try Tensor.pattern([outputs, inputs], seed: 1, scale: 3, dtype: .bfloat16)
      let bias = try Tensor.pattern([outputs], seed: 2, dtype: .bfloat16)
      let exact = try double(x).linear(double(w), double(bias))
      let size = try double(x).abs().linear(double(w).abs()).max().item()
      let found = try withoutGradients { () throws(TorchError) in try x.linear(w, bias) }
      #expect(found.dtype == .bfloat16)
      try assertClose(found, exact, relative: 1.0 / 256, absolute: 2e-6 * size, "\(rows) × \(inputs) → \(outputs)")
    }
  }

  @Test(arguments: sizes, [1, 3, 17, 64]) func eightBits(inputs: Int, rows: Int) throws {
    for dtype in [DType.float32, .bfloat16] { try eightBits(inputs: inputs, rows: rows, dtype: dtype) }
  }

  private func eightBits(inputs: Int, rows: Int, dtype: DType) throws {
    let x = try Tensor.pattern([rows, inputs], scale: 2, dtype: dtype)
    for outputs in [1, 16, 33] {
      let w = try Tensor.pattern([outputs, inputs], seed: 1, scale: 3)
      let bias = try Tensor.pattern([outputs], seed: 2, dtype: dtype)
      let packed = try PackedWeight(packing: w, as: .int8)
      let expanded = try double(try packed.expanded())
      let exact = try double(x).linear(expanded, double(bias))
      let size = try double(x).abs().linear(expanded.abs()).max().item()
      let found = try withoutGradients { () throws(TorchError) in
        try x.linears([LinearWeight(packed: packed, bias: bias)])[0]
      }
      // More rows than the kernels for a few take multiply expanded numbers, in bfloat16 rounded to it before.
      let rounding = dtype == .bfloat16 && rows > 16 ? 1.0 / 256 : 2e-6
      try assertClose(
        found, exact, relative: dtype == .bfloat16 ? 1.0 / 256 : 1e-6, absolute: rounding * size,
        "\(rows) × \(inputs) → \(outputs)")
    }
  }

  @Test(arguments: sizes) func numbersOfEightBitsAreWithinHalfAScale(inputs: Int) throws {
    let w = try Tensor.pattern([5, inputs], seed: 3, scale: 3)
    let (numbers, scales) = try w.quantized()
    #expect(numbers.dtype == .int8 && numbers.shape == [5, inputs] && scales.shape == [5, (inputs + 31) / 32])
    let values = try w.array(Float.self)
    let back = try numbers.expanded(scales: scales, as: .float32).array(Float.self)
    let steps = try scales.array(Float.self)
    for row in 0..<5 {
      for block in 0..<(inputs + 31) / 32 {
        let places = row * inputs + 32 * block..<row * inputs + min(inputs, 32 * block + 32)
        let step = steps[row * ((inputs + 31) / 32) + block]
        #expect(abs(step - (values[places].map(abs).max() ?? 0) / 127) <= 1e-6 * step)
        for place in places { #expect(abs(values[place] - back[place]) <= 0.50001 * step) }
      }
    }
    let zeros = try Tensor.zeros([2, inputs]).quantized()
    #expect(try zeros.numbers.expanded(scales: zeros.scales, as: .float32).abs().max().item() == 0)
  }

  @Test func severalWeightsInOneCall() throws {
    for rows in [1, 16] {
      let x = try Tensor.pattern([rows, 1, 48], dtype: .bfloat16)
      let weights = try [7, 64, 33].enumerated().map { seed, outputs in
        LinearWeight(try .pattern([outputs, 48], seed: seed, dtype: .bfloat16))
      }
      try withoutGradients {
        let together = try x.linears(weights)
        for (weight, found) in zip(weights, together) {
          #expect(found.shape == [rows, 1, weight.weight.shape[0]])
          try assertClose(found, try x.linear(weight.weight), relative: 0, absolute: 0, "the same as alone")
        }
      }
    }
  }

  @Test func whatTheKernelsDoNotTakeIsLibtorchs() throws {
    let x = try Tensor.pattern([2, 8], dtype: .bfloat16)
    let w = try Tensor.pattern([3, 8], seed: 1, dtype: .bfloat16)
    let strided = try Tensor.pattern([8, 3], seed: 1, dtype: .bfloat16).transposed()
    let plain = try withFusedKernels(false) { try withoutGradients { () throws(TorchError) in try x.linear(w) } }
    try withoutGradients {
      try assertClose(try x.linear(w), plain, relative: 1.0 / 128, absolute: 1e-3)
      let whole = try strided.contiguous()
      try assertClose(try x.linear(strided), try x.linear(whole), relative: 1.0 / 128, absolute: 1e-3)
      #expect(throws: TorchError.self) { try x.linear(try Tensor.pattern([3, 7], dtype: .bfloat16)) }
      #expect(throws: TorchError.self) { try x.linears([]) }
      #expect(throws: TorchError.self) { try Tensor.pattern([3]).quantized() }
    }
  }

  @Test func gradientsGoThroughLibtorch() throws {
    let x = try Tensor.pattern([2, 8], dtype: .bfloat16)
    let w = try Tensor.pattern([3, 8], seed: 1, dtype: .bfloat16)
    let gradients = try differentiate([x, w]) { try $0[0].linear($0[1]) }.gradients
    #expect(gradients.count == 2 && gradients.allSatisfy { $0 != nil })
  }
}
