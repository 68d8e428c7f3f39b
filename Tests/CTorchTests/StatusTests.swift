import CTorch
import Testing

/// One failure of each kind: its status, its text, and out-parameters left as they were.
@Suite struct StatusTests {
  @Test func success() {
    with(floats([1, 2], [2]), floats([10, 20], [2])) { operands in
      var out = ct_tensor()
      #expect(ct_binary(CT_ADD, operands[0], operands[1], &out) == CT_OK)
      #expect(lastError().isEmpty)
      #expect(numbers(out) == [11, 22])
      ct_tensor_free(out)
    }
  }

  @Test func invalidArgument() {
    with(zeros([2, 3]), zeros([4])) { operands in
      var out = untouched
      #expect(ct_binary(CT_ADD, operands[0], operands[1], &out) == CT_INVALID_ARGUMENT)
      #expect(out.ctx == untouched.ctx)
      #expect(lastError().contains("must match the size of tensor b (4)"))
    }
  }

  @Test func indexRange() {
    with(zeros([2, 3]), integers([7], [1]), integers([7, 0], [2, 1])) { operands in
      var out = untouched
      #expect(ct_select(operands[0], 0, 9, &out) == CT_INDEX_RANGE)
      #expect(ct_softmax(operands[0], 5, &out) == CT_INDEX_RANGE)
      #expect(ct_embedding(operands[0], operands[1], &out) == CT_INDEX_RANGE)
      #expect(ct_gather(operands[0], 1, operands[2], &out) == CT_INDEX_RANGE)
      #expect(lastError().contains("index 7 is out of bounds for dimension 1 with size 3"))
      #expect(out.ctx == untouched.ctx)
    }
  }

  @Test func outOfMemory() {
    var out = untouched
    #expect(ct_empty([1 << 45], 1, CT_FLOAT32, cpu, &out) == CT_OUT_OF_MEMORY)
    #expect(lastError().contains("140737488355328 bytes"))
    #expect(out.ctx == untouched.ctx)
  }

  @Test func notImplemented() {
    with(integers([1], [1])) { operands in
      var out = untouched
      #expect(ct_unary(CT_SILU, operands[0], &out) == CT_NOT_IMPLEMENTED)
      #expect(lastError().contains("not implemented for 'Long'"))
      #expect(out.ctx == untouched.ctx)
    }
  }

  @Test func otherExceptions() {
    with(zeros([1])) { operands in
      var out = untouched
      // std::length_error, which is none of libtorch's classes.
      #expect(ct_cat(operands, Int64.max, 0, &out) == CT_INTERNAL)
      #expect(!lastError().isEmpty)
      #expect(out.ctx == untouched.ctx)
    }
  }

  @Test func unknownNumbersForEnumerations() {
    with(zeros([1]), zeros([1])) { operands in
      var out = untouched
      #expect(ct_unary(ct_unary_op(rawValue: 99), operands[0], &out) == CT_INVALID_ARGUMENT)
      #expect(ct_binary(ct_binary_op(rawValue: 99), operands[0], operands[1], &out) == CT_INVALID_ARGUMENT)
      #expect(ct_binary_scalar(CT_MATMUL, operands[0], 1, &out) == CT_INVALID_ARGUMENT)
      #expect(ct_reduce(ct_reduction(rawValue: 99), operands[0], nil, 0, false, &out) == CT_INVALID_ARGUMENT)
      #expect(ct_to_dtype(operands[0], ct_dtype(rawValue: 99), &out) == CT_INVALID_ARGUMENT)
      #expect(ct_to_device(operands[0], ct_device(kind: ct_device_kind(rawValue: 9), index: 0), &out) == CT_INVALID_ARGUMENT)
      #expect(out.ctx == untouched.ctx)
    }
  }

  @Test func devicesThatAreNotThere() {
    var out = untouched
    for index in [-1, ct_cuda_device_count(), 256, Int32.max] {
      #expect(ct_full([1], 1, 0, CT_FLOAT32, ct_device(kind: CT_CUDA, index: index), &out) == CT_INVALID_ARGUMENT)
      #expect(lastError().contains("there is no GPU \(index)"))
    }
    #expect(out.ctx == untouched.ctx)
  }

  @Test func messageLastsUntilTheNextCall() {
    with(zeros([2]), zeros([3])) { operands in
      var out = untouched
      #expect(ct_binary(CT_ADD, operands[0], operands[1], &out) == CT_INVALID_ARGUMENT)
      let text = lastError()
      #expect(lastError() == text, "reading it twice gives the same text")
      ct_tensor_free(ct_tensor())
      #expect(lastError() == text, "freeing is no call that can fail")
      var count: Int64 = 0
      #expect(ct_count(operands[0], &count) == CT_OK)
      #expect(lastError().isEmpty)
    }
  }

  @Test func messageHasNoBacktrace() {
    with(zeros([2]), zeros([3])) { operands in
      var out = untouched
      #expect(ct_binary(CT_ADD, operands[0], operands[1], &out) == CT_INVALID_ARGUMENT)
      #expect(!lastError().contains("Exception raised from"))
      #expect(!lastError().contains("frame #"))
    }
  }

  @Test func messageBelongsToTheThread() async {
    let failed = Task.detached {
      var out = untouched
      return ct_empty([-1], 1, CT_FLOAT32, cpu, &out) == CT_INVALID_ARGUMENT && !lastError().isEmpty
    }
    #expect(await failed.value)
    var count: Int64 = 0
    with(zeros([2])) { operands in
      #expect(ct_count(operands[0], &count) == CT_OK)
      #expect(lastError().isEmpty)
    }
  }
}
