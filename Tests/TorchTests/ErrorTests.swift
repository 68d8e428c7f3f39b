import Testing
import Torch

/// What an error tells: the operation, its operands, libtorch's words, and what a caller can do.
@Suite struct ErrorTests {
  @Test func namesOperationAndOperands() throws {
    let a = try Tensor.zeros([2, 3])
    let b = try Tensor.zeros([4, 5], dtype: .bfloat16)
    let error = try #require(throws: TorchError.self) { try a.matmul(b) }
    #expect(error.kind == .invalidArgument)
    #expect(error.operation == "matmul")
    #expect(error.operands == ["[2, 3] float32 cpu", "[4, 5] bfloat16 cpu"])
    #expect(error.message.contains("mat1 and mat2 shapes cannot be multiplied") || error.message.contains("same dtype"))
    #expect(error.description.hasPrefix("matmul([2, 3] float32 cpu, [4, 5] bfloat16 cpu): "))
    #expect(!error.description.contains("Exception raised from") && !error.description.contains("frame #"))
    #expect(!error.description.contains("\n"))
  }

  @Test func optionalOperandsAreNamedWhereGiven() throws {
    let x = try Tensor.zeros([2, 3])
    let weight = try Tensor.zeros([4, 3])
    let bias = try Tensor.zeros([5])
    let error = try #require(throws: TorchError.self) { try x.linear(weight, bias) }
    #expect(error.operands.count == 3)
    let other = try #require(throws: TorchError.self) { try x.linear(try weight.transposed()) }
    #expect(other.operands == ["[2, 3] float32 cpu", "[3, 4] float32 cpu"])
  }

  @Test func kinds() throws {
    let x = try Tensor.zeros([2, 3])
    func kind(_ body: () throws -> Tensor) -> TorchError.Kind? {
      do { _ = try body() } catch { return (error as? TorchError)?.kind }
      return nil
    }
    #expect(kind { try x.softmax(7) } == .indexRange)
    #expect(kind { try x.embedding(try Tensor([9] as [Int64])) } == .indexRange)
    #expect(kind { try x.tokenLogProbs(try Tensor([0, 3] as [Int64])) } == .indexRange)
    #expect(kind { try .empty([1 << 45]) } == .outOfMemory)
    #expect(kind { try x.to(.int64).silu() } == .notImplemented)
    #expect(kind { try x.reshaped(7) } == .invalidArgument)
  }

  @Test func memoryErrorsSaySo() throws {
    let error = try #require(throws: TorchError.self) { try Tensor.empty([1 << 45]) }
    #expect(error.description.hasPrefix("out of memory in empty: "))
  }

  @Test(.enabled(if: !TorchRuntime.hasCUDA)) func deviceThatIsNotThere() throws {
    let x = try Tensor.zeros([2])
    let error = try #require(throws: TorchError.self) { try x.to(.cuda(0)) }
    #expect(error.operands == ["[2] float32 cpu"])
    #expect(error.message.contains("there is no GPU 0"))
    #expect(error.message.count < 400, "\(error.message)")
    #expect(throws: TorchError.self) { try Tensor.zeros([2], device: .cuda(256)) }
  }
}
