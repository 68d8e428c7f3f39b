import CTorch
import Testing

/// Memory of tensors that are gone is used again, whole where neighbours are free, and goes back to the system when asked.
@Suite struct MemoryTests {
  private func tensor(_ count: Int64) throws -> ct_tensor {
    var out = ct_tensor()
    try #require(ct_empty([count], 1, CT_FLOAT32, cpu, &out) == CT_OK)
    return out
  }

  private func address(_ tensor: ct_tensor) throws -> UInt {
    var data: UnsafeMutableRawPointer?
    try #require(ct_data(tensor, &data) == CT_OK)
    return UInt(bitPattern: data)
  }

  @Test func neighboursBecomeOne() throws {
    ct_trim_memory()
    let parts = try (0..<4).map { _ in try tensor(1 << 18) }
    let places = try parts.map(address)
    #expect(zip(places, places.dropFirst()).allSatisfy { $1 - $0 == 1 << 20 }, "each behind the last, in a region of their own")
    for part in [parts[1], parts[3], parts[2], parts[0]] { ct_tensor_free(part) }
    let whole = try tensor(1 << 20)
    #expect(try address(whole) == places.min())
    ct_tensor_free(whole)
    ct_trim_memory()
  }

  @Test func numbersStayWhereTheyAre() throws {
    var kept: [(tensor: ct_tensor, value: Float)] = []
    for round in 0..<200 {
      let (count, value) = (Int64(1 + (round * 7919) % 60_000), Float(round))
      var out = ct_tensor()
      try #require(ct_full([count], 1, Double(value), CT_FLOAT32, cpu, &out) == CT_OK)
      kept.append((out, value))
      if round % 3 == 2 { ct_tensor_free(kept.remove(at: (round * 31) % kept.count).tensor) }
      if round % 50 == 49 { ct_trim_memory() }
    }
    for (tensor, value) in kept {
      for kind in [CT_AMIN, CT_AMAX] {
        var (extreme, found) = (ct_tensor(), 0.0)
        try #require(ct_reduce(kind, tensor, nil, 0, false, &extreme) == CT_OK)
        try #require(ct_item(extreme, &found) == CT_OK)
        #expect(Float(found) == value)
        ct_tensor_free(extreme)
      }
      ct_tensor_free(tensor)
    }
  }

  @Test func tooMuchIsAnError() {
    var out = ct_tensor()
    #expect(ct_empty([1 << 60], 1, CT_FLOAT32, cpu, &out) == CT_OUT_OF_MEMORY)
    #expect(lastError().contains("not enough memory"))
  }
}
