import Foundation
import TestSupport
import Testing
import Torch

/// Steps in one pass against the same out of libtorch's operations; codes and random rounding.
@Suite struct OptimizerStepTests {
  static let rules: [OptimizerStep.Rule] = [
    .adamW(beta1: 0.9, beta2: 0.99, eps: 1e-6), .lion(beta1: 0.9, beta2: 0.99),
    .sgd(momentum: 0.9, dampening: 0.1, nesterov: false),
    .sgd(momentum: 0.9, dampening: 0, nesterov: true), .move,
  ]

  /// A tensor [rows, columns] whose columns lie one after the other, so that only libtorch's operations take it.
  private func turned(_ tensor: Tensor) throws -> Tensor { try tensor.transposed().contiguous().transposed() }

  private func state(_ shape: [Int], coded: Bool, seed: Int, isSigned: Bool) throws -> StepState {
    let numbers = try Tensor.pattern(shape, seed: seed, scale: 0.1)
    let given = isSigned ? numbers : try numbers.abs()
    guard coded else { return .numbers(given) }
    let (codes, scales) = try BlockCodes.encode(given, isSigned: isSigned)
    return .codes(codes, scales: scales)
  }

  private func parts(_ state: StepState) -> [Tensor] {
    switch state {
    case .numbers(let numbers): [numbers]
    case .codes(let codes, let scales): [codes, scales]
    }
  }

  /// Two pieces of work, the second of which fills no block and no vector.
  @Test(arguments: rules.indices, [(DType.float32, false), (.bfloat16, false), (.float32, true), (.bfloat16, true)])
  func inOnePassAsOutOfOperations(_ rule: Int, _ kind: (dtype: DType, coded: Bool)) throws {
    let shape = [7, 5_003]
    func move(_ turn: Bool, _ first: StepState, _ second: StepState) throws -> Tensor {
      let parameter = try Tensor.pattern(shape, seed: 1, dtype: kind.dtype)
      let (own, gradient) = (turn ? try turned(parameter) : parameter, try Tensor.pattern(shape, seed: 2, dtype: kind.dtype))
      for number in 1...3 {
        var step = OptimizerStep(Self.rules[rule], step: number)
        (step.gradientScale, step.roundsAtRandom) = (0.5, number == 3)
        try step.take([
          MovedParameter(own, gradient: gradient, first: first, second: second, learningRate: 0.01, weightDecay: 0.1, noise: 77)
        ])
      }
      return own
    }
    let states = try (0..<2).map { _ in
      (
        try state(shape, coded: kind.coded, seed: 3, isSigned: true),
        try state(shape, coded: kind.coded, seed: 4, isSigned: false)
      )
    }
    let (ours, plain) = (try move(false, states[0].0, states[0].1), try move(true, states[1].0, states[1].1))
    // A number of bfloat16 may round to the other neighbour where the last bit of float32 differs; so may a code.
    let allowed = kind.dtype == .float32 ? (kind.coded ? 2e-3 : 2e-7) : 1e-2
    try assertClose(ours, plain, relative: allowed, absolute: allowed)
    if kind.dtype == .bfloat16 {
      let differing = try Tensor.differing(ours, plain)
      #expect(differing < ours.count / 50, "\(differing) of \(ours.count)")
    }
    guard !kind.coded else { return }
    for (a, b) in zip(parts(states[0].0), parts(states[1].0)) { try assertClose(a, b, relative: 1e-6, absolute: 1e-7) }
    for (a, b) in zip(parts(states[0].1), parts(states[1].1)) { try assertClose(a, b, relative: 1e-6, absolute: 1e-7) }
  }

  @Test func codesOfWhatIsOdd() throws {
    let (zeros, none) = try BlockCodes.encode(try .zeros([300]), isSigned: true)
    #expect(try BlockCodes.decode(zeros, scales: none, isSigned: true).array(Float.self).allSatisfy { $0 == 0 })
    let tiny = Float.leastNonzeroMagnitude * 700
    let mixed: [Float] = [tiny, -tiny, 0, -0.0] + [Float](repeating: 0, count: 252) + [3e38, -3e38, 1, .leastNonzeroMagnitude]
    let (codes, scales) = try BlockCodes.encode(try Tensor(mixed), isSigned: true)
    #expect(try scales.array(Float.self) == [tiny, 3e38])
    let back = try BlockCodes.decode(codes, scales: scales, isSigned: true).array(Float.self)
    #expect(back[256] == 3e38 && abs(back[257] + 3e38) < 3e36 && back[258] == 0)
    let empty = try BlockCodes.encode(try .zeros([0]), isSigned: false)
    #expect(empty.codes.count == 0 && empty.scales.count == 0)
    #expect(throws: TorchError.self) { try BlockCodes.encode(try .zeros([4], dtype: .bfloat16), isSigned: true) }
  }

  /// No number is farther from what its code stands for than from the values beside that.
  @Test(arguments: [true, false]) func aCodeIsThatOfTheNearestValue(_ isSigned: Bool) throws {
    let values = try BlockCodes.values(isSigned: isSigned).array(Float.self)
    // Sizes over eleven powers of ten; the first of each block gives the scale 1.
    let numbers: [Float] = (0..<5_120).map { index in
      guard index % 256 > 0 else { return 1 }
      let size = Float(pow(10, -11 * Double(index) / 5_120))
      return isSigned && index % 2 == 0 ? -size : size
    }
    let (codes, scales) = try BlockCodes.encode(try Tensor(numbers), isSigned: isSigned)
    #expect(try scales.array(Float.self).allSatisfy { $0 == 1 })
    for (number, code) in zip(numbers, try codes.array(UInt8.self)) {
      let nearest = values.map { abs($0 - number) }.min() ?? 0
      #expect(abs(abs(values[Int(code)] - number) - nearest) <= 1e-7 * abs(number), "\(number) has code \(code)")
    }
  }

  // MARK: Random rounding

  /// The mean of many roundings of a number is the number, within four standard errors.
  @Test(arguments: [1.001, -0.30001, 3e-30, 65_000.7]) func theMeanOfRoundingsIsTheNumber(_ number: Double) throws {
    let count = 200_000
    let wide = try Tensor.full([count], number)
    let exact = try wide.narrowed(0, 0..<1).item()
    let rounded = try wide.roundedAtRandom(noise: 5).array(Double.self)
    let neighbours = Set(rounded).sorted()
    #expect(neighbours.count == 2)
    let step = neighbours[1] - neighbours[0]
    #expect(neighbours[0] < exact && exact < neighbours[1])
    let share = (exact - neighbours[0]) / step
    let mean = rounded.reduce(0, +) / Double(count)
    #expect(abs(mean - exact) < 4 * step * (share * (1 - share) / Double(count)).squareRoot())
  }

  @Test func whatRoundingKeeps() throws {
    let special: [Float] = [.nan, .infinity, -.infinity, 0, -0.0, 1, -2.5, .greatestFiniteMagnitude]
    let rounded = try Tensor(special).roundedAtRandom(noise: 1).array(Float.self)
    #expect(
      rounded[0].isNaN && rounded[1] == .infinity && rounded[2] == -.infinity && rounded[3...6].elementsEqual([0, 0, 1, -2.5]))
    let wide = try Tensor.pattern([3, 5_001], seed: 9)
    let once = try wide.roundedAtRandom(noise: 1 << 40)
    #expect(try once.isEqual(to: try wide.roundedAtRandom(noise: 1 << 40)), "the same noise rounds the same way")
    #expect(try !once.isEqual(to: try wide.roundedAtRandom(noise: 1 << 41)))
    let operations = try withFusedKernels(false) { () throws in try wide.roundedAtRandom(noise: 1 << 40) }
    #expect(try operations.isEqual(to: once), "libtorch's operations round the same way")
  }

  // MARK: Gradients

  @Test func aFunctionIsCalledWhenAGradientIsComplete() throws {
    let (a, b) = (try Tensor([2] as [Float]), try Tensor([3] as [Float]))
    for leaf in [a, b] { try leaf.setRequiresGradient(true) }
    var seen: [String] = []
    try a.onGradient { tensor throws(TorchError) in
      seen.append("a \(try tensor.gradient()?.item() ?? 0)")
      try tensor.setGradient(nil)
    }
    // a is used twice; its gradient comes once, as a sum.
    func loss() throws -> Tensor { try (a * b + a * a).sum() }
    try loss().backward()
    #expect(seen == ["a 7.0"])
    #expect(try a.gradient() == nil)
    #expect(try b.gradient()?.item() == 2)
    try a.onGradient(nil)
    try loss().backward()
    #expect(seen.count == 1)
    try b.onGradient { _ throws(TorchError) in throw TorchError(operation: "test", message: "as it should be") }
    #expect { try loss().backward() } throws: { "\($0)".contains("as it should be") }
    #expect(throws: TorchError.self) { try Tensor([1] as [Float]).onGradient { _ in } }
  }
}

extension Tensor {
  /// How many elements differ.
  fileprivate static func differing(_ a: Tensor, _ b: Tensor) throws -> Int {
    zip(try a.array(Float.self), try b.array(Float.self)).reduce(0) { $0 + ($1.0 == $1.1 ? 0 : 1) }
  }
}
