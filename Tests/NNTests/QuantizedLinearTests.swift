import NN
import TestSupport
import Testing
import Torch

/// Projections in few bits.
@Suite struct QuantizedLinearTests {
  private final class Pair: Module {
    @Projected("first") var first: any Projection
    @Projected("second") var second: any Projection

    init(_ first: any Projection, _ second: any Projection) {
      super.init()
      (self.first, self.second) = (first, second)
    }
  }

  @Test(arguments: [DType.float32, .bfloat16]) func differsByTheRoundingOfItsWeight(dtype: DType) throws {
    let weight = try Tensor.pattern([40, 96], scale: 0.5, dtype: dtype)
    let bias = try Tensor.pattern([40], seed: 1, dtype: dtype)
    let dense = Linear(weight: weight, bias: bias)
    let quantized = try QuantizedLinear(dense, as: .int8)
    #expect(quantized.inputSize == 96 && quantized.outputSize == 40 && !quantized.storesTransposed)
    #expect(try quantized.denseWeight().dtype == dtype)
    // Half a scale of 0.5 / 127, and in bfloat16 the rounding of the expanded number.
    try assertClose(try quantized.denseWeight(), weight, relative: 1.0 / 256, absolute: 0.5 / 127 / 2 + 1e-6)
    for rows in [1, 4, 80] {
      let x = try Tensor.pattern([rows, 96], seed: 2, dtype: dtype)
      let expected = try x.linear(try quantized.denseWeight(), bias)
      try withoutGradients {
        try assertClose(
          try quantized.forward(x), expected, relative: 1.0 / 64, absolute: dtype == .float32 ? 1e-5 : 0.05, "\(rows) rows")
      }
    }
  }

  @Test func takesThePlaceOfDenseProjections() throws {
    let gpt = try Conv1D(32, 8)
    gpt.weight = try .pattern([32, 8])
    gpt.bias = try .pattern([8], seed: 1)
    let model = Pair(Linear(weight: try .pattern([8, 32], seed: 2), bias: nil), gpt)
    let x = try Tensor.pattern([3, 32], seed: 3)
    let before = try [model.first.forward(x), model.second.forward(x)]
    try model.quantizeProjections(as: .int8)
    #expect(model.first is QuantizedLinear && model.second is QuantizedLinear)
    #expect(model.second.storesTransposed)
    for (own, dense) in zip([model.first, model.second], before) {
      try assertClose(try own.forward(x), dense, absolute: 0.03)
    }
    // A bias is still there under its path, the weight no longer is.
    #expect(model.parameters().map(\.path) == ["second.bias"])
    let parts = try withoutGradients { () throws(TorchError) in try project(x, through: model.first, model.second) }
    for (part, own) in zip(parts, [model.first, model.second]) {
      try assertClose(part, try own.forward(x), relative: 1e-6, absolute: 1e-6)
    }
  }

  @Test func choosesByPathAndExpandsAgain() throws {
    let gpt = try Conv1D(32, 8)
    gpt.weight = try .pattern([32, 8])
    gpt.bias = try .pattern([8], seed: 1)
    let model = Pair(Linear(weight: try .pattern([8, 32], seed: 2), bias: nil), gpt)
    try model.quantizeProjections(as: .nf4) { $0 == "second" }
    #expect(model.first is Linear && model.second is QuantizedLinear)
    let x = try Tensor.pattern([3, 32], seed: 3)
    let quantized = try model.second.forward(x)
    try model.expandProjections()
    #expect(model.second is Conv1D, "as the checkpoint has it")
    try assertClose(try model.second.forward(x), quantized, relative: 1e-5, absolute: 1e-5)
  }
}
