import CTorch

/// What the tests of the C API share: handles of small tensors, freed by the test.
let cpu = ct_device(kind: CT_CPU, index: 0)

/// A handle no call may hand out: what an out-parameter holds before a call that fails.
var untouched: ct_tensor { ct_tensor(ctx: UnsafeMutableRawPointer(bitPattern: 0xBAD0)) }

func floats(_ values: [Float], _ shape: [Int64]) -> ct_tensor {
  var out = ct_tensor()
  let status = values.withUnsafeBytes {
    ct_tensor_copy($0.baseAddress, Int64($0.count), shape, Int64(shape.count), CT_FLOAT32, &out)
  }
  precondition(status == CT_OK, lastError())
  return out
}

func integers(_ values: [Int64], _ shape: [Int64]) -> ct_tensor {
  var out = ct_tensor()
  let status = values.withUnsafeBytes {
    ct_tensor_copy($0.baseAddress, Int64($0.count), shape, Int64(shape.count), CT_INT64, &out)
  }
  precondition(status == CT_OK, lastError())
  return out
}

func zeros(_ shape: [Int64]) -> ct_tensor {
  var out = ct_tensor()
  precondition(ct_full(shape, Int64(shape.count), 0, CT_FLOAT32, cpu, &out) == CT_OK, lastError())
  return out
}

func numbers(_ tensor: ct_tensor) -> [Float] {
  var count: Int64 = 0
  var data: UnsafeMutableRawPointer?
  precondition(ct_count(tensor, &count) == CT_OK && ct_data(tensor, &data) == CT_OK, lastError())
  return Array(UnsafeRawBufferPointer(start: data, count: Int(count) * 4).bindMemory(to: Float.self))
}

func lastError() -> String { String(cString: ct_last_error()) }

/// Runs `body` with handles and frees them after it.
func with<Result>(_ handles: ct_tensor..., body: ([ct_tensor]) throws -> Result) rethrows -> Result {
  defer { handles.forEach(ct_tensor_free) }
  return try body(handles)
}
