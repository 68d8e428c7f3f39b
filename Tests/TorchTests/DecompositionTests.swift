import TestSupport
import Testing
import Torch

@Suite struct DecompositionTests {
  @Test(arguments: [[5, 3], [3, 5], [4, 4], [1, 6], [6, 1], [1, 1]]) func makesTheMatrixAgain(_ shape: [Int]) throws {
    let matrix = try Tensor.empty(shape, dtype: .float64)
    try matrix.normalInPlace(standardDeviation: 1)
    let (u, s, vh) = try matrix.singularValues()
    let rank = min(shape[0], shape[1])
    #expect(u.shape == [shape[0], rank] && s.shape == [rank] && vh.shape == [rank, shape[1]])
    #expect(try mismatch(try (u * s).matmul(vh), matrix, absolute: 1e-12) == nil)
    let identity = try Tensor.choose(
      try Tensor.arange(to: Double(rank)).reshaped(-1, 1) .== Tensor.arange(to: Double(rank)), try .ones([1], dtype: .float64),
      try .zeros([1], dtype: .float64))
    #expect(try mismatch(try u.transposed().matmul(u), identity, absolute: 1e-12) == nil)
    #expect(try mismatch(try vh.matmul(vh.transposed()), identity, absolute: 1e-12) == nil)
    let values = try s.array(Double.self)
    #expect(values == values.sorted(by: >) && values.allSatisfy { $0 >= 0 })
  }

  @Test func refusesWhatIsNoMatrixOfNumbers() throws {
    #expect(throws: TorchError.self) { try Tensor.zeros([3]).singularValues() }
    #expect(throws: TorchError.self) { try Tensor.full([2, 2], .nan).singularValues() }
  }
}
