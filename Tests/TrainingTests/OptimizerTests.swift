import Foundation
import TestSupport
import Testing
import Torch
import Training

/// AdamW and clipping against torch's; what holds for every optimizer.
@Suite struct OptimizerTests {
  private static var decaying: OptimizerOptions { OptimizerOptions(AdamW { $0.weightDecay = 0.1 }) }

  @Test(arguments: [
    ("wd0.1", AdamW { $0.weightDecay = 0.1 }),
    (
      "wd0_betas0.8_0.95_eps1e-6",
      AdamW {
        $0.beta1 = 0.8
        $0.beta2 = 0.95
        $0.eps = 1e-6
      }
    ),
  ])
  func fiveStepsOfAdamW(group: String, settings: AdamW) throws {
    let golden = try GoldenTensors("layers/adamw.safetensors")
    let parameter = try golden["start"]
    try parameter.setRequiresGradient(true)
    let optimizer = try Optimizer([("w", parameter)], options: OptimizerOptions(settings))
    for step in 1...5 {
      try parameter.setGradient(try golden["gradients"].selected(0, step - 1))
      try optimizer.update(learningRate: 1e-2)
      let state = Dictionary(uniqueKeysWithValues: optimizer.state.map { ($0.name, $0.value) })
      try assertClose(parameter.detached(), try golden["\(group).step\(step).parameter"], absolute: 1e-7, "step \(step)")
      try assertClose(try #require(state["w.exp_avg"]), try golden["\(group).step\(step).exp_avg"], absolute: 1e-7)
      try assertClose(try #require(state["w.exp_avg_sq"]), try golden["\(group).step\(step).exp_avg_sq"], absolute: 1e-9)
    }
    #expect(optimizer.step == 5)
    try optimizer.clearGradients()
    #expect(try parameter.gradient() == nil)
  }

  @Test func continuesFromACheckpoint() throws {
    let golden = try GoldenTensors("layers/adamw.safetensors")
    let group = "wd0.1.step3"
    let parameter = try golden["\(group).parameter"]
    try parameter.setRequiresGradient(true)
    let optimizer = try Optimizer([("w", parameter)], options: Self.decaying)
    func saved(_ name: String) throws(TorchError) -> Tensor {
      do { return try golden["\(group)\(name.dropFirst(1))"] } catch { throw TorchError(operation: "load", message: "\(error)") }
    }
    #expect(throws: TorchError.self) { try optimizer.restore(step: 3) { _ throws(TorchError) in try .zeros([2]) } }
    #expect(optimizer.step == 0)
    try optimizer.restore(step: 3, state: saved)
    try parameter.setGradient(try golden["gradients"].selected(0, 3))
    try optimizer.update(learningRate: 1e-2)
    try assertClose(parameter.detached(), try golden["wd0.1.step4.parameter"], absolute: 1e-7)
  }

  @Test func parametersItCannotTune() throws {
    let refused = try #require(throws: TorchError.self) { try Optimizer([("a.b", try .zeros([2], dtype: .float64))]) }
    #expect(refused.description.contains("“a.b”"))
    let still = try Tensor.ones([2])
    let optimizer = try Optimizer([("w", still)])
    try optimizer.update(learningRate: 1)
    #expect(try still.array(Float.self) == [1, 1], "without a gradient it stays")
    #expect(try optimizer.gradientNorm() == 0)
  }

  @Test func clipping() throws {
    let golden = try GoldenTensors("layers/clip_grad_norm.safetensors")
    let expected = try golden["total_norm"].item()
    for limit in [1, 100] {
      let parameters = try ["a", "b", "c"].map { (path: $0, value: try Tensor.zeros(try golden["gradient.\($0)"].shape)) }
      for (name, value) in parameters { try value.setGradient(try golden["gradient.\(name)"]) }
      let optimizer = try Optimizer(parameters)
      let norm = try optimizer.gradientNorm()
      #expect(abs(norm - expected) < 1e-5)
      let scale = Optimizer.clippingScale(norm: norm, limit: Double(limit))
      for (name, value) in parameters {
        try assertClose(try #require(try value.gradient()) * scale, try golden["clipped_at_\(limit).\(name)"])
      }
    }
  }

  /// Many tensors in one call, some larger than a piece of work and of sizes that fill no vector, against each by itself.
  @Test func manyParametersAtOnce() throws {
    let sizes = [1, 3, 70_001, 16, 0, 33_000]
    func parameters() throws -> [(path: String, value: Tensor)] {
      try sizes.enumerated().map { index, size in
        let value = try Tensor.pattern([size], seed: index)
        try value.setRequiresGradient(true)
        try value.setGradient(try .pattern([size], seed: 10 + index))
        return ("\(index)", value)
      }
    }
    let (together, apart) = (try parameters(), try parameters())
    let optimizer = try Optimizer(together, options: Self.decaying)
    let squares = try together.map { try $0.value.gradient()?.array(Float.self).reduce(0.0) { $0 + Double($1 * $1) } ?? 0 }
    #expect(abs(try optimizer.gradientNorm() - squares.reduce(0, +).squareRoot()) < 1e-6 * squares.reduce(0, +).squareRoot())
    try optimizer.update(learningRate: 1e-2, gradientScale: 0.5)
    for (index, one) in apart.enumerated() {
      try one.value.setGradient(try #require(try one.value.gradient()) * 0.5)
      try Optimizer([one], options: Self.decaying).update(learningRate: 1e-2)
      try assertClose(together[index].value.detached(), one.value.detached(), absolute: 1e-7, "parameter \(index)")
    }
  }

  @Test func gradientsThatAreNotFiniteAreNamed() throws {
    let parameters = try ["a", "b"].map { (path: $0, value: try Tensor.zeros([2])) }
    let optimizer = try Optimizer(parameters)
    #expect(try optimizer.firstNonFiniteGradient() == nil)
    try parameters[0].value.setGradient(try Tensor([1, 2] as [Float]))
    try parameters[1].value.setGradient(try Tensor([1, .nan] as [Float]))
    #expect(try optimizer.firstNonFiniteGradient() == "b")
    #expect(try !optimizer.gradientNorm().isFinite)
    #expect(Optimizer.clippingScale(norm: .nan, limit: 1) == 1)
  }
}
