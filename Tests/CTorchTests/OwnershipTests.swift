import CTorch
import Dispatch
import Testing

/// Who owns a handle, mapped memory and the count of live handles.
@Suite struct OwnershipTests {
  /// In a process of its own, where no other test makes handles at the same time.
  @Test func liveCount() async {
    await #expect(processExitsWith: .success) { countHandles() }
  }

  /// Counts the calls of a release function; its address is the owner.
  private final class Counter {
    var value = 0
    static var count: @convention(c) (UnsafeMutableRawPointer?) -> Void {
      { owner in
        guard let owner else { return }
        Unmanaged<Counter>.fromOpaque(owner).takeUnretainedValue().value += 1
      }
    }
    var address: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }
  }

  @Test func mappedMemoryIsReleasedOnceWithTheLastView() {
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: 4)
    defer { memory.deallocate() }
    memory.update(from: [1, 2, 3, 4], count: 4)
    let counter = Counter()
    var (whole, part) = (ct_tensor(), ct_tensor())
    #expect(ct_tensor_map(memory, 16, [4], 1, CT_FLOAT32, counter.address, Counter.count, &whole) == CT_OK)
    #expect(ct_narrow(whole, 0, 2, 2, &part) == CT_OK)
    ct_tensor_free(whole)
    #expect(counter.value == 0, "a view still uses the memory")
    #expect(numbers(part) == [3, 4])
    ct_tensor_free(part)
    #expect(counter.value == 1)
  }

  @Test func emptyMappingReleasesItsOwner() {
    let counter = Counter()
    var out = ct_tensor()
    #expect(ct_tensor_map(nil, 0, [0, 3], 2, CT_FLOAT32, counter.address, Counter.count, &out) == CT_OK)
    ct_tensor_free(out)
    #expect(counter.value == 1)
  }

  @Test func failedMappingKeepsItsHandsOffTheOwner() {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 8)
    defer { memory.deallocate() }
    let counter = Counter()
    var out = untouched
    func map(_ bytes: UnsafeMutableRawPointer?, _ count: Int64, _ shape: [Int64], _ type: ct_dtype) -> ct_status {
      ct_tensor_map(bytes, count, shape, Int64(shape.count), type, counter.address, Counter.count, &out)
    }
    #expect(map(memory, 16, [3], CT_FLOAT32) == CT_INVALID_ARGUMENT)
    #expect(map(nil, 16, [4], CT_FLOAT32) == CT_INVALID_ARGUMENT)
    #expect(map(memory + 1, 12, [3], CT_FLOAT32) == CT_INVALID_ARGUMENT)
    #expect(lastError().contains("is not aligned for elements of 4 bytes"))
    #expect(map(memory, 16, [4], ct_dtype(rawValue: 99)) == CT_INVALID_ARGUMENT)
    #expect(ct_tensor_map(memory, 16, [4], 1, CT_FLOAT32, counter.address, nil, &out) == CT_INVALID_ARGUMENT)
    #expect(counter.value == 0 && out.ctx == untouched.ctx)
  }

  @Test func shapeIsBorrowed() {
    with(zeros([2, 3]), zeros([])) { operands in
      var sizes: UnsafePointer<Int64>?
      var rank: Int64 = -1
      #expect(ct_shape(operands[0], &sizes, &rank) == CT_OK)
      #expect(Array(UnsafeBufferPointer(start: sizes, count: Int(rank))) == [2, 3])
      #expect(ct_shape(operands[1], &sizes, &rank) == CT_OK)
      #expect(rank == 0)
    }
  }

  @Test func gradientsAreHandedOutWhereThereAreSome() {
    with(floats([2], [1])) { operands in
      var (has, out) = (true, untouched)
      #expect(ct_grad(operands[0], &has, &out) == CT_OK)
      #expect(!has && out.ctx == untouched.ctx)
      #expect(ct_set_requires_grad(operands[0], true) == CT_OK)
      var square = ct_tensor()
      #expect(ct_binary(CT_MUL, operands[0], operands[0], &square) == CT_OK)
      #expect(ct_backward(square) == CT_OK)
      #expect(ct_grad(square, &has, &out) == CT_OK)
      #expect(!has, "a result keeps no gradient")
      #expect(ct_grad(operands[0], &has, &out) == CT_OK)
      #expect(has && numbers(out) == [4])
      [square, out].forEach(ct_tensor_free)
    }
  }
}

private func countHandles() {
  let start = ct_live_tensors()
  let a = floats([3, 1, 2], [3])
  #expect(ct_live_tensors() == start + 1)
  var (values, indices, first, second) = (ct_tensor(), ct_tensor(), untouched, untouched)
  #expect(ct_sort(a, 0, true, &values, &indices) == CT_OK)
  #expect(ct_live_tensors() == start + 3, "two results are two handles")
  #expect(ct_sort(a, 5, true, &first, &second) == CT_INDEX_RANGE)
  #expect(ct_select(a, 0, 9, &first) == CT_INDEX_RANGE)
  #expect(ct_live_tensors() == start + 3, "a failure makes no handle")
  [a, values, indices].forEach(ct_tensor_free)
  ct_tensor_free(ct_tensor())
  #expect(ct_live_tensors() == start)
  DispatchQueue.concurrentPerform(iterations: 8) { _ in
    for _ in 0..<500 { ct_tensor_free(zeros([1])) }
  }
  #expect(ct_live_tensors() == start, "the count holds over threads")
}
