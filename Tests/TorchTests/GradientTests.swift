import TestSupport
import Testing
import Torch

/// Gradients, the scopes that switch them, random state, and handles.
@Suite struct GradientTests {
  private struct Stop: Error {}

  @Test func gradientsAddUpUntilCleared() throws {
    let x = try Tensor([2, -3] as [Float])
    try x.setRequiresGradient(true)
    #expect(x.requiresGradient)
    #expect(try x.gradient() == nil)
    for _ in 0..<2 {
      let square = try x * x
      #expect(square.requiresGradient)
      try square.sum().backward()
    }
    try assertClose(try #require(try x.gradient()), [8, -12])
    try x.setGradient(try Tensor([1, 1] as [Float]))
    try assertClose(try #require(try x.gradient()), [1, 1])
    try x.setGradient(nil)
    #expect(try x.gradient() == nil)
    #expect(try !x.detached().requiresGradient)
  }

  @Test func gradientsThatCannotBe() throws {
    let x = try Tensor([2, -3] as [Float])
    try x.setRequiresGradient(true)
    #expect(throws: TorchError.self) { try (try x * 2).backward() }
    #expect(throws: TorchError.self) { try Tensor.ones([]).backward() }
    #expect(throws: TorchError.self) { try Tensor([1] as [Int64]).setRequiresGradient(true) }
    #expect(throws: TorchError.self) { try (try x * 2).setRequiresGradient(false) }
    #expect(throws: TorchError.self) { try x.addInPlace(x) }
    #expect(throws: TorchError.self) { try x.setGradient(try Tensor([1] as [Float])) }
    #expect(throws: TorchError.self) { try x.setGradient(try Tensor([1, 1] as [Double])) }
    let product = try x * 2
    #expect(try product.gradient() == nil)
  }

  @Test func scopesRestoreAlsoOnThrow() throws {
    let x = try Tensor([2] as [Float])
    try x.setRequiresGradient(true)
    func records() throws -> Bool { (try x * 2).requiresGradient }
    #expect(try records())
    try withoutGradients { () throws in
      #expect(try !records())
      try withGradients { () throws in #expect(try records()) }
      #expect(try !records())
    }
    #expect(throws: Stop.self) { try withoutGradients { throw Stop() } }
    #expect(try records())
    #expect(throws: Stop.self) { try withoutGradients { try withGradients { throw Stop() } } }
    #expect(try records())
    #expect(throws: Stop.self) { try withFusedKernels(false) { throw Stop() } }
  }

  @Test func randomStateReplays() throws {
    let draws = try withSeededGenerator { () throws -> [[Float]] in
      let state = try RandomState.capture()
      let draw = { () throws -> [Float] in
        let (normal, uniform) = (try Tensor.zeros([40]), try Tensor.zeros([40]))
        try normal.normalInPlace(mean: 1, standardDeviation: 2)
        try uniform.uniformInPlace(-1, 3)
        return try normal.array() + uniform.array() + Tensor.ones([40]).dropout(0.5).array()
      }
      let first = try draw()
      let second = try draw()
      try RandomState.restore(state)
      return [first, second, try draw(), try draw()]
    }
    #expect(draws[0] == draws[2] && draws[1] == draws[3] && draws[0] != draws[1])
    #expect(draws[0][40..<80].allSatisfy { $0 >= -1 && $0 < 3 })
    #expect(draws[0][80...].allSatisfy { $0 == 0 || $0 == 2 })
    #expect(throws: TorchError.self) { try RandomState.restore(try Tensor.zeros([3], dtype: .uint8)) }
    #expect(throws: TorchError.self) { try RandomState.restore(try Tensor.zeros([5056])) }
  }

  /// The generator is the process's: no other test of this module draws from it.
  private func withSeededGenerator<Result>(_ body: () throws -> Result) throws -> Result {
    try RandomState.seed(7)
    return try body()
  }

  /// In a process of its own, where no other test makes handles.
  @Test func everyHandleIsFreed() async {
    await #expect(processExitsWith: .success) { try countHandles() }
  }

  @Test func runtime() throws {
    #expect(TorchRuntime.version.hasPrefix("2."))
    #expect(!TorchRuntime.cpuCapability.isEmpty)
    #expect(TorchRuntime.threads >= 1)
    #expect(TorchRuntime.hasCUDA == (TorchRuntime.cudaDeviceCount > 0))
    #expect(throws: TorchError.self) { try TorchRuntime.setThreads(0) }
  }
}

private func countHandles() throws {
  let start = Tensor.liveCount
  for _ in 0..<3 { try work() }
  #expect(Tensor.liveCount == start)
}

/// Something of everything that makes handles: results, gradients, failures.
private func work() throws {
  let heads = [try Tensor.pattern([6, 4, 8]), try Tensor.pattern([6, 2, 8], seed: 1)]
  _ = try differentiate(heads) { try Tensor.segmentAttention($0[0], $0[1], $0[1], lengths: [2, 4], scale: 0.3) }
  let (x, gain) = (try Tensor.pattern([5, 8]), try Tensor.pattern([8], seed: 2))
  _ = try differentiate([x, gain]) { try $0[0].rmsNorm($0[1], eps: 1e-5) }
  _ = try differentiate([x, x]) { try $0[0].swiglu($0[1]) }
  let targets = try Tensor([0, 1, 2, 3, 4] as [Int64])
  _ = try differentiate([x, x, targets]) { try $0[0].linearCrossEntropy(weight: $0[1], targets: $0[2], chunk: 2) }
  _ = try x.sorted()
  #expect(throws: TorchError.self) { try x.matmul(x) }
}
