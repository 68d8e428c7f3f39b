import NN
import TestSupport
import Testing
import Torch

@testable import Tuners

/// Forms that save work give what the formulas give.
@Suite struct LowRankFormTests {
  private func random(_ shape: Int...) throws -> Tensor {
    let made = try Tensor.empty(shape)
    try made.normalInPlace()
    return made
  }

  private func gradients(_ output: Tensor, of parameters: [Tensor], weighing: Tensor) throws -> [Tensor] {
    for parameter in parameters { try parameter.setGradient(nil) }
    try (try output * weighing).sum().backward()
    return try parameters.map { try #require(try $0.gradient()).clone() }
  }

  /// Ranks below and above the one where ΔW itself is less work: 7² · (96 + 64) is more than 96 · 64, 3² · (96 + 64) less.
  @Test(arguments: [3, 7]) func aHadamardProductIsOneOfTheSquaredRank(rank: Int) throws {
    try RandomState.seed(7)
    let base = Linear(weight: try random(96, 64), bias: try random(96))
    let delta = try LoHaDelta(for: base, rank: rank, scale: 0.7, drops: ComposedDropout(), device: .cpu)
    let parts = delta.trained.compactMap(\.slot.value)
    for part in parts {
      try part.normalInPlace(standardDeviation: 0.5)
      try part.setRequiresGradient(true)
    }
    let (x, weighing) = (try random(5, 64), try random(5, 96))
    #expect((try delta.lowRankUpdate() != nil) == (rank == 3))
    let own = try delta.forward(x, through: base)
    let formula = try base.forward(x) + x.matmul(try delta.weightDelta().transposed())
    try assertClose(own, formula, relative: 1e-4, absolute: 1e-3)
    try assertClose(try delta.merged(into: base).forward(x), formula, relative: 1e-4, absolute: 1e-3)
    let (actual, expected) = (
      try gradients(own, of: parts, weighing: weighing), try gradients(formula, of: parts, weighing: weighing)
    )
    for (actual, expected) in zip(actual, expected) { try assertClose(actual, expected, relative: 1e-4, absolute: 2e-3) }
  }

  /// By hand: w₁ = (1, 2)ᵀ·(1, 1), w₂ = (1, 1)ᵀ·(3, 4): ΔW = ((3, 4), (6, 8)).
  @Test func aHadamardProductByHand() throws {
    let base = Linear(weight: try .zeros([2, 2]), bias: nil)
    let delta = try LoHaDelta(for: base, rank: 1, scale: 1, drops: ComposedDropout(), device: .cpu)
    let numbers: [[Float]] = [[1, 2], [1, 1], [1, 1], [3, 4]]
    for (part, numbers) in zip(delta.trained.compactMap(\.slot.value), numbers) {
      try part.copyInPlace(try Tensor(numbers, shape: part.shape))
    }
    #expect(try delta.weightDelta().array(Float.self) == [3, 4, 6, 8])
    #expect(try delta.forward(try Tensor([1, 10] as [Float], shape: [1, 2]), through: base).array(Float.self) == [43, 86])
  }

  /// DoRA's norms of rows out of W·Aᵀ are those of W + s·B·A, however W is stored.
  @Test(arguments: ["linear", "conv1d", "bfloat16"]) func normsOfRows(kind: String) throws {
    try RandomState.seed(8)
    let weight = try random(40, 24)
    let base: any Projection =
      switch kind {
      case "conv1d": try Conv1D(24, 40).replacing(weight: weight, bias: try random(40))
      case "bfloat16": Linear(weight: try weight.to(.bfloat16), bias: nil)
      default: Linear(weight: weight, bias: try random(40))
      }
    let low = try LoRADelta(for: base, at: "q_proj", LoRAConfiguration(), device: .cpu)
    let delta = try DoRADelta(low, for: base)
    let before = try base.denseWeight().to(.float32).norm(1)
    try assertClose(delta.magnitude, before, relative: 1e-6, absolute: 0)
    let x = try random(3, 24)
    let input = kind == "bfloat16" ? try x.to(.bfloat16) : x
    try assertClose(try delta.forward(input, through: base), try base.forward(input), relative: 1e-6, absolute: 2e-6)
    try low.b.normalInPlace(standardDeviation: 0.5)
    let changed = try low.changedWeight(of: base)
    let factor = try delta.magnitude / changed.norm(1)
    let merged = try delta.merged(into: base).denseWeight().to(.float32)
    try assertClose(merged, try changed * factor.unsqueezed(1), relative: kind == "bfloat16" ? 0.01 : 1e-5, absolute: 1e-5)
    // Another base is measured anew.
    let twice = try base.replacing(weight: try base.denseWeight() * 2, bias: nil)
    let other = try low.changedWeight(of: twice)
    try assertClose(
      try delta.merged(into: twice).denseWeight().to(.float32), try other * (delta.magnitude / other.norm(1)).unsqueezed(1),
      relative: kind == "bfloat16" ? 0.01 : 1e-5, absolute: 1e-5)
  }
}
