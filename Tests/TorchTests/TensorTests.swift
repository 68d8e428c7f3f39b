import TestSupport
import Testing
import Torch

/// Making tensors, asking about them, converting them.
@Suite struct TensorTests {
  @Test func making() throws {
    let table = try Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
    #expect(table.shape == [2, 3] && table.rank == 2 && table.count == 6 && table.byteCount == 24)
    #expect(table.dtype == .float32 && table.device == .cpu)
    #expect(table.summary == "[2, 3] float32 cpu")
    #expect(try table.size(-1) == 3 && table.size(0) == 2)
    #expect(try Tensor([true, false]).array(Bool.self) == [true, false])
    #expect(try Tensor.zeros([2]).array(Float.self) == [0, 0])
    #expect(try Tensor.ones([2], dtype: .int32).array(Int32.self) == [1, 1])
    #expect(try Tensor.full([2], 2.5).array(Float.self) == [2.5, 2.5])
    #expect(try Tensor.arange(to: 3).array(Int64.self) == [0, 1, 2])
    #expect(try Tensor.arange(1, to: 2, step: 0.5, dtype: .float64).array(Double.self) == [1, 1.5])
    #expect(try Tensor.empty([4, 0, 2]).count == 0)
  }

  @Test func numbersWithoutDimensionsAndWithoutElements() throws {
    let number = try Tensor([7] as [Int64], shape: [])
    #expect(number.shape.isEmpty && number.rank == 0 && number.count == 1)
    #expect(try number.item() == 7)
    #expect(try number.array(Int64.self) == [7])
    #expect(throws: TorchError.self) { try number.size(0) }
    let nothing = try Tensor([] as [Float])
    #expect(nothing.shape == [0])
    #expect(try nothing.array(Float.self).isEmpty)
    #expect(try nothing.sum().item() == 0)
    #expect(throws: TorchError.self) { try nothing.max() }
    #expect(throws: TorchError.self) { try nothing.item() }
    #expect(try nothing.withUnsafeBytes { $0.count } == 0)
  }

  @Test(arguments: DType.allCases) func everyTypeKeepsSmallNumbers(dtype: DType) throws {
    let made = try Tensor([0, 1, 1] as [Float]).to(dtype)
    #expect(made.dtype == dtype)
    #expect(made.byteCount == 3 * dtype.byteSize)
    #expect(try made.array(Float.self) == [0, 1, 1])
    #expect(try made.array(Int64.self) == [0, 1, 1])
    #expect(try Tensor.empty([1], dtype: dtype).dtype == dtype)
  }

  @Test func conversionRounds() throws {
    let value = try Tensor([1.005859375, -2.9] as [Float])
    // bfloat16 has 8 bits: 1 + 1.5/256 lies halfway and rounds to even.
    #expect(try value.to(.bfloat16).array(Float.self) == [1.0078125, -2.90625])
    #expect(try value.to(.int32).array(Int32.self) == [1, -2], "towards zero")
  }

  @Test func conversionToItselfIsItself() throws {
    let value = try Tensor.zeros([2])
    #expect(try value.to(.float32).sharesStorage(with: value))
    #expect(try value.to(.cpu).sharesStorage(with: value))
    #expect(try value.contiguous().sharesStorage(with: value))
    #expect(try !value.clone().sharesStorage(with: value))
  }

  @Test func sharingMemory() throws {
    let whole = try Tensor.zeros([4, 2])
    let top = try whole.narrowed(0, 0..<2)
    let bottom = try whole.narrowed(0, 2..<4)
    #expect(top.sharesStorage(with: bottom))
    #expect(!top.isSameMemory(as: bottom), "two halves of one memory are two tensors")
    let (again, turned, copy) = (try whole.narrowed(0, 0..<2), try whole.transposed(), try whole.clone())
    #expect(top.isSameMemory(as: again))
    #expect(whole.isSameMemory(as: turned))
    #expect(!whole.isSameMemory(as: top))
    #expect(!whole.isSameMemory(as: copy))
  }

  @Test func numbersComeInRowMajorOrder() throws {
    let turned = try Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3]).transposed()
    #expect(try turned.array(Float.self) == [1, 4, 2, 5, 3, 6])
    let bytes = try turned.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    #expect(bytes == [1, 4, 2, 5, 3, 6])
  }

  @Test func bytesThatDoNotFillTheShape() {
    #expect(throws: TorchError.self) { try Tensor([1, 2, 3] as [Float], shape: [2, 2]) }
    #expect(throws: TorchError.self) { try Tensor([1, 2, 3] as [Float], shape: [-3]) }
    #expect(throws: TorchError.self) { try Tensor([1] as [Float], shape: [1, Int.max, Int.max]) }
    let tooMany = #expect(throws: TorchError.self) { try Tensor.empty([1 << 45]) }
    #expect(tooMany?.kind == .outOfMemory)
  }

  @Test func mappingKeepsItsOwnerAndLetsItGoOnce() throws {
    final class Owner {
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 16)
      let gone: () -> Void
      init(gone: @escaping () -> Void) {
        self.gone = gone
        bytes.copyBytes(from: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
      }
      deinit {
        bytes.deallocate()
        gone()
      }
    }
    var gone = 0
    func map(_ shape: [Int], offset: Int = 0) throws -> Tensor {
      let owner = Owner { gone += 1 }
      let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(owner.bytes)[offset...])
      return try Tensor(mapping: bytes, shape: shape, dtype: .int16, owner: owner)
    }
    var whole: Tensor? = try map([8])
    var row: Tensor? = try whole?.reshaped(2, 4).selected(0, 1)
    whole = nil
    #expect(gone == 0, "the row still lies in the owner's memory")
    #expect(try row?.array(Int16.self) == [0x0A09, 0x0C0B, 0x0E0D, 0x100F])
    row = nil
    #expect(gone == 1)
    #expect(throws: TorchError.self) { try map([7]) }
    #expect(throws: TorchError.self) { try map([7], offset: 1) }
    #expect(gone == 3, "an owner that could not be used goes at once")
  }
}
