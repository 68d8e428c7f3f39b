import Foundation
import NN
import TestSupport
import Testing
import Torch

/// AdamW, clipping and schedules against torch's and transformers'.
@Suite struct OptimizerTests {
  @Test(arguments: [
    ("wd0.1", AdamW.Settings(weightDecay: 0.1)),
    ("wd0_betas0.8_0.95_eps1e-6", AdamW.Settings(beta1: 0.8, beta2: 0.95, eps: 1e-6)),
  ])
  func fiveStepsOfAdamW(group: String, settings: AdamW.Settings) throws {
    let golden = try GoldenTensors("layers/adamw.safetensors")
    let parameter = try golden["start"]
    try parameter.setRequiresGradient(true)
    let optimizer = try AdamW([("w", parameter)], settings: settings)
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
    let optimizer = try AdamW([("w", parameter)], settings: .init(weightDecay: 0.1))
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
    let refused = try #require(throws: TorchError.self) { try AdamW([("a.b", try .zeros([2], dtype: .bfloat16))]) }
    #expect(refused.description.contains("“a.b”"))
    let still = try Tensor.ones([2])
    let optimizer = try AdamW([("w", still)])
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
      let optimizer = try AdamW(parameters)
      let norm = try optimizer.gradientNorm()
      #expect(abs(norm - expected) < 1e-5)
      let scale = AdamW.clippingScale(norm: norm, limit: Double(limit))
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
    let optimizer = try AdamW(together, settings: .init(weightDecay: 0.1))
    let squares = try together.map { try $0.value.gradient()?.array(Float.self).reduce(0.0) { $0 + Double($1 * $1) } ?? 0 }
    #expect(abs(try optimizer.gradientNorm() - squares.reduce(0, +).squareRoot()) < 1e-6 * squares.reduce(0, +).squareRoot())
    try optimizer.update(learningRate: 1e-2, gradientScale: 0.5)
    for (index, one) in apart.enumerated() {
      try one.value.setGradient(try #require(try one.value.gradient()) * 0.5)
      try AdamW([one], settings: .init(weightDecay: 0.1)).update(learningRate: 1e-2)
      try assertClose(together[index].value.detached(), one.value.detached(), absolute: 1e-7, "parameter \(index)")
    }
  }

  @Test func gradientsThatAreNotFiniteAreNamed() throws {
    let parameters = try ["a", "b"].map { (path: $0, value: try Tensor.zeros([2])) }
    let optimizer = try AdamW(parameters)
    #expect(try optimizer.firstNonFiniteGradient() == nil)
    try parameters[0].value.setGradient(try Tensor([1, 2] as [Float]))
    try parameters[1].value.setGradient(try Tensor([1, .nan] as [Float]))
    #expect(try optimizer.firstNonFiniteGradient() == "b")
    #expect(try !optimizer.gradientNorm().isFinite)
    #expect(AdamW.clippingScale(norm: .nan, limit: 1) == 1)
  }

  private struct Schedules: Decodable {
    struct Row: Decodable {
      let name: String
      let steps: Int
      let warmupSteps: Int
      let numCycles: Double?
      let rates: [Double]
    }
    let baseRate: Double
    let cases: [Row]
  }

  @Test func schedules() throws {
    let golden = try Goldens.decoded("layers/schedules.json", as: Schedules.self)
    let kinds: [String: Schedule.Kind] = [
      "constant": .constant, "constant_with_warmup": .constant, "linear": .linear, "cosine": .cosine,
    ]
    var compared = 0
    for row in golden.cases where row.numCycles ?? 0.5 == 0.5 {
      guard let kind = kinds[row.name] else { continue }
      let schedule = Schedule(kind, warmupSteps: row.warmupSteps, totalSteps: row.steps)
      let rates = (0...row.steps).map { golden.baseRate * schedule.factor(after: $0) }
      try assertClose(try Tensor(rates), row.rates, relative: 1e-12, absolute: 1e-17, "\(row.name), \(row.warmupSteps)")
      compared += 1
    }
    #expect(compared == 7)
  }

  @Test func schedulesWithoutSteps() {
    for kind in Schedule.Kind.allCases {
      for (warmup, total) in [(0, 0), (5, 5), (9, 3)] {
        for done in 0...10 { #expect(Schedule(kind, warmupSteps: warmup, totalSteps: total).factor(after: done).isFinite) }
      }
    }
  }
}
