import Foundation
import TestSupport
import Testing
import Torch

/// Values of every family of operations on small numbers worked out by hand or by Foundation.
@Suite struct OperationTests {
  private let a = Result { try Tensor([1, -2, 3, 4] as [Float], shape: [2, 2]) }
  private let b = Result { try Tensor([2, 4, -1, 0.5] as [Float], shape: [2, 2]) }

  @Test func arithmetic() throws {
    let (a, b) = (try a.get(), try b.get())
    try assertClose(try a + b, [3, 2, 2, 4.5])
    try assertClose(try a - b, [-1, -6, 4, 3.5])
    try assertClose(try a * b, [2, -8, -3, 2])
    try assertClose(try a / b, [0.5, -0.5, -3, 8])
    try assertClose(try a + 1, [2, -1, 4, 5])
    try assertClose(try a - 0.5, [0.5, -2.5, 2.5, 3.5])
    try assertClose(try a * -2, [-2, 4, -6, -8])
    try assertClose(try a / 4, [0.25, -0.5, 0.75, 1])
    try assertClose(try -a, [-1, 2, -3, -4])
    try assertClose(try a.pow(2), [1, 4, 9, 16])
    try assertClose(try a.maximum(b), [2, 4, 3, 4])
    try assertClose(try a.minimum(b), [1, -2, -1, 0.5])
    try assertClose(try a.matmul(b), [4, 3, 2, 14])
    try assertClose(try a + (try Tensor([10, 20] as [Float])), [11, 18, 13, 24], "a row is added to each row")
  }

  @Test func integersStayIntegers() throws {
    let ids = try Tensor([3, 16_777_217] as [Int64])
    let next = try ids + 1
    #expect(next.dtype == .int64)
    #expect(try next.array(Int64.self) == [4, 16_777_218], "float32 has no such number")
    let doubled = try ids * 2
    #expect(doubled.dtype == .int64)
    #expect(try (try ids / 2).array(Float.self) == [1.5, 8_388_608], "a quotient is a fraction")
    #expect(try (try ids .== 16_777_217).array(Bool.self) == [false, true])
    #expect(try (try ids .> 2.5).array(Bool.self) == [true, true])
    let refused = #expect(throws: TorchError.self) { try ids * 0.5 }
    #expect(refused?.message.contains("takes whole numbers") == true)
  }

  @Test func comparisons() throws {
    let (a, b) = (try a.get(), try b.get())
    #expect(try (try a .< b).array(Bool.self) == [true, true, false, false])
    #expect(try (try a .<= a).all())
    #expect(try (try a .== a).all())
    #expect(try !(try a .== b).any())
    #expect(try (try a .== 3).array(Bool.self) == [false, false, true, false])
    #expect(try (try a .!= 3).array(Bool.self) == [true, true, false, true])
    #expect(try (try a .< 1).array(Bool.self) == [false, true, false, false])
    #expect(try (try a .> 1).array(Bool.self) == [false, false, true, true])
    #expect(try (try a .>= 3).array(Bool.self) == [false, false, true, true])
    let (yes, no) = (try a .> 0, try b .> 0)
    #expect(try yes.and(no).array(Bool.self) == [true, false, false, true])
    #expect(try yes.or(no).array(Bool.self) == [true, true, true, true])
    #expect(try yes.not().array(Bool.self) == [false, true, false, false])
    let odd = try Tensor([1, .infinity, .nan] as [Float])
    #expect(try odd.isFinite().array(Bool.self) == [true, false, false])
    #expect(try a.isEqual(to: a.clone()) && !a.isEqual(to: b) && !a.isEqual(to: try a.to(.float64)))
    #expect(try !a.isEqual(to: try a.reshaped(4)))
  }

  @Test func functions() throws {
    let values: [Double] = [-3, -0.5, 0.25, 2]
    let x = try Tensor(values)
    let all: [(String, (Tensor) throws -> Tensor, (Double) -> Double)] = [
      ("abs", { try $0.abs() }, { abs($0) }), ("exp", { try $0.exp() }, exp), ("sin", { try $0.sin() }, sin),
      ("cos", { try $0.cos() }, cos), ("tanh", { try $0.tanh() }, tanh), ("relu", { try $0.relu() }, { max($0, 0) }),
      ("sigmoid", { try $0.sigmoid() }, { 1 / (1 + exp(-$0)) }), ("silu", { try $0.silu() }, { $0 / (1 + exp(-$0)) }),
      ("gelu", { try $0.gelu() }, { $0 / 2 * (1 + erf($0 / 2.0.squareRoot())) }),
      ("geluTanh", { try $0.geluTanh() }, { $0 / 2 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) }),
      ("log", { try $0.abs().log() }, { log(abs($0)) }), ("sqrt", { try $0.abs().sqrt() }, { abs($0).squareRoot() }),
      ("rsqrt", { try $0.abs().rsqrt() }, { 1 / abs($0).squareRoot() }),
      ("clamp", { try $0.clamp(-1, 1) }, { min(max($0, -1), 1) }),
    ]
    for (name, function, expected) in all {
      try assertClose(try function(x), values.map(expected), relative: 1e-12, absolute: 1e-12, name)
    }
  }

  @Test func choosing() throws {
    let (a, b) = (try a.get(), try b.get())
    let positive = try a .> 0
    try assertClose(try Tensor.choose(positive, a, b), [1, 4, 3, 4])
    try assertClose(try a.masked(by: positive, fill: -.infinity), [-.infinity, -2, -.infinity, -.infinity])
  }

  @Test func reductions() throws {
    let a = try a.get()
    #expect(try a.sum().item() == 6)
    try assertClose(try a.sum(0), [4, 2])
    try assertClose(try a.sum(-1, keep: true), [-1, 7])
    #expect(try a.sum(-1, keep: true).shape == [2, 1])
    #expect(try a.mean().item() == 1.5)
    try assertClose(try a.max(1), [1, 4])
    try assertClose(try a.min(0, 1), [-2])
    try assertClose(try a.logSumExp(1), [log(exp(1) + exp(-2)), log(exp(3) + exp(4))])
    #expect(abs(try a.norm().item() - 30.0.squareRoot()) < 1e-6)
    #expect(try a.argmax(1).array(Int64.self) == [0, 1])
    try assertClose(try a.cumulativeSum(1), [1, -1, 3, 7])
    try assertClose(try a.softmax(), [1 / (1 + exp(-3)), 1 / (1 + exp(3)), 1 / (1 + exp(1)), 1 / (1 + exp(-1))])
    try assertClose(try a.logSoftmax(), try a.softmax().log())
    let number = try Tensor([5] as [Float], shape: [])
    for value in [try number.sum(), try number.mean(), try number.max(), try number.logSumExp(), try number.norm()] {
      #expect(try value.item() == 5)
    }
  }

  @Test func normOfManySixteenBitNumbers() throws {
    // A bfloat16 result would be 64, off by 1.5 %; 65 needs seven bits after the point to be told from 64.5.
    let ones = try Tensor.ones([4225], dtype: .bfloat16)
    #expect(try ones.norm().dtype == .float32)
    #expect(try ones.norm().item() == 65)
  }

  @Test func ordering() throws {
    let row = try Tensor([2, 5, 2, 9, 5] as [Float])
    let (values, places) = try row.sorted()
    #expect(try values.array(Float.self) == [9, 5, 5, 2, 2])
    #expect(try places.array(Int64.self) == [3, 1, 4, 0, 2], "equal ones keep their order")
    #expect(try row.sorted(descending: false).values.array(Float.self) == [2, 2, 5, 5, 9])
    let top = try row.top(2)
    #expect(try top.values.array(Float.self) == [9, 5])
    #expect(try top.indices.array(Int64.self) == [3, 1])
    #expect(throws: TorchError.self) { try row.top(6) }
  }

  @Test func shapes() throws {
    let x = try Tensor.arange(to: 6).reshaped(2, 3)
    #expect(try x.reshaped([3, -1]).shape == [3, 2])
    #expect(try x.transposed().array(Int64.self) == [0, 3, 1, 4, 2, 5])
    #expect(try x.permuted(1, 0).array(Int64.self) == [0, 3, 1, 4, 2, 5])
    #expect(try x.unsqueezed(1).shape == [2, 1, 3])
    #expect(try x.unsqueezed(-1).squeezed(-1).shape == [2, 3])
    #expect(try x.unsqueezed(0).expanded(2, -1, -1).shape == [2, 2, 3])
    #expect(try x.narrowed(1, 1..<3).array(Int64.self) == [1, 2, 4, 5])
    #expect(try x.split(1, [2, 1]).map { try $0.array(Int64.self) } == [[0, 1, 3, 4], [2, 5]])
    #expect(throws: TorchError.self) { try x.split(1, [2, 2]) }
    #expect(try x.selected(1, -1).array(Int64.self) == [2, 5])
    #expect(try x.indexed(0, Tensor([1, 1, 0] as [Int64])).array(Int64.self) == [3, 4, 5, 3, 4, 5, 0, 1, 2])
    let places = try Tensor([2, 0] as [Int64], shape: [2, 1])
    #expect(try x.gathered(1, places).array(Int64.self) == [2, 3])
    let put = try x.scattered(1, places, Tensor([9, 8] as [Int64], shape: [2, 1]))
    #expect(try put.array(Int64.self) == [0, 1, 9, 8, 4, 5])
    #expect(try x.array(Int64.self) == [0, 1, 2, 3, 4, 5], "the original is as it was")
    #expect(try Tensor.concatenated([x, x], 1).shape == [2, 6])
    #expect(try Tensor.stacked([x, x]).shape == [2, 2, 3])
    #expect(throws: TorchError.self) { try Tensor.concatenated([], 0) }
    #expect(throws: TorchError.self) { try x.reshaped(-2, 3) }
    #expect(throws: TorchError.self) { try x.narrowed(1, 2..<9) }
  }

  @Test func inPlace() throws {
    let x = try Tensor([1, 2] as [Float])
    let same = x
    try x.addInPlace(try Tensor([10, 20] as [Float]), scale: 0.5)
    #expect(try same.array(Float.self) == [6, 12], "the copy of the struct is the same tensor")
    try x.scaleInPlace(2)
    #expect(try x.array(Float.self) == [12, 24])
    try x.copyInPlace(try Tensor([1, 7] as [Int64]))
    #expect(try x.array(Float.self) == [1, 7])
    try x.fillInPlace(3)
    #expect(try x.array(Float.self) == [3, 3])
    #expect(throws: TorchError.self) { try x.copyInPlace(try Tensor([1] as [Float])) }
  }

  @Test func layersOfNetworks() throws {
    let x = try Tensor([1, 2, 3, -1] as [Float], shape: [2, 2])
    let weight = try Tensor([1, 0, 0, 1, 1, 1] as [Float], shape: [3, 2])
    try assertClose(try x.linear(weight), [1, 2, 3, 3, -1, 2])
    try assertClose(try x.linear(weight, try Tensor([1, 2, 3] as [Float])), [2, 4, 6, 4, 1, 5])
    try assertClose(try weight.embedding(try Tensor([2, 0] as [Int64])), [1, 1, 1, 0])
    let (one, zero) = (try Tensor.ones([2]), try Tensor.zeros([2]))
    try assertClose(try x.layerNorm(one, zero, eps: 0), [-1, 1, 1, -1])
    try assertClose(
      try x.rmsNorm(one, eps: 0), [1 / 2.5.squareRoot(), 2 / 2.5.squareRoot(), 3 / 5.0.squareRoot(), -1 / 5.0.squareRoot()])
    #expect(try x.dropout(0).sharesStorage(with: x))
    #expect(throws: TorchError.self) { try x.dropout(1.5) }
    let logProbs = try x.tokenLogProbs(try Tensor([1, 0] as [Int64]))
    try assertClose(logProbs, [-log(1 + exp(-1)), -log(1 + exp(-4))])
  }
}
