import CTorch
import Testing

/// The versions of the lookup of 4-bit numbers, one for each instruction set, against its definition.
@Suite struct LookUpTests {
  @Test(arguments: 0...70) func everyVersionGivesTheSame(bytes: Int) {
    let packed: [UInt8] = (0...bytes).map { (index: Int) -> UInt8 in UInt8(truncatingIfNeeded: index &* 37 &+ 11) }
    let table: [Float] = (0..<16).map { (index: Int) -> Float in Float(index) * 1.25 - 7 }
    let narrow: [UInt16] = (0..<16).map { (index: Int) -> UInt16 in UInt16(truncatingIfNeeded: index &* 4099 &+ 513) }
    let places: [Int] = packed.prefix(bytes).flatMap { (byte: UInt8) -> [Int] in [Int(byte >> 4), Int(byte & 15)] }
    for instructions in [CT_INSTRUCTIONS_PLAIN, CT_INSTRUCTIONS_AVX2, CT_INSTRUCTIONS_AVX512] {
      var wide = [Float](repeating: -1, count: 2 * bytes + 1)
      var half = [UInt16](repeating: 9, count: 2 * bytes + 1)
      let there = ct_look_up_four_bits(packed, Int64(bytes), table, narrow, instructions, &wide, &half)
      #expect(there || instructions != CT_INSTRUCTIONS_PLAIN)
      guard there else { continue }
      #expect(Array(wide.dropLast()) == places.map { table[$0] }, "\(instructions.rawValue), \(bytes) bytes")
      #expect(Array(half.dropLast()) == places.map { narrow[$0] }, "\(instructions.rawValue), \(bytes) bytes")
      #expect(wide.last == -1 && half.last == 9, "nothing beyond the end is written")
    }
  }

  /// Tolerance: the order of additions in float32 of at most 192 products, each at most 1 in magnitude.
  @Test(arguments: [(1, CT_PACKED_NF4, false), (3, CT_PACKED_FP4, true), (9, CT_PACKED_NF4, true)])
  func productsOfEveryVersion(rows: Int, packing: ct_packing, nested: Bool) throws {
    let (outputs, inputs) = (5, 192)
    let weight = floats((0..<outputs * inputs).map { Float(($0 * 37) % 101 - 50) / 50 }, [Int64(outputs), Int64(inputs)])
    defer { ct_tensor_free(weight) }
    var packed = ct_packed_weight()
    try #require(ct_pack(weight, packing, 64, nested, &packed) == CT_OK, "\(lastError())")
    defer { [packed.numbers, packed.scales, packed.outer_scales, packed.map].forEach(ct_tensor_free) }
    var expanded = ct_tensor()
    try #require(ct_expand_packed([packed], 0, Int64(outputs), CT_FLOAT32, &expanded) == CT_OK, "\(lastError())")
    defer { ct_tensor_free(expanded) }
    let dense = numbers(expanded).map(Double.init)
    let x: [Float] = (0..<rows * inputs).map { Float(($0 * 61) % 89 - 44) / 44 }
    for instructions in [CT_INSTRUCTIONS_PLAIN, CT_INSTRUCTIONS_AVX2, CT_INSTRUCTIONS_AVX512] {
      var y = [Float](repeating: .nan, count: rows * outputs)
      let status = ct_multiply_four_bits([packed], x, Int64(rows), instructions, &y)
      #expect(status == CT_OK || (status == CT_NOT_IMPLEMENTED && instructions != CT_INSTRUCTIONS_PLAIN), "\(lastError())")
      guard status == CT_OK else { continue }
      for row in 0..<rows {
        for output in 0..<outputs {
          let expected = (0..<inputs).reduce(0.0) { $0 + Double(x[row * inputs + $1]) * dense[output * inputs + $1] }
          #expect(abs(Double(y[row * outputs + output]) - expected) < 2e-5, "\(instructions.rawValue), \(row), \(output)")
        }
      }
    }
  }

  @Test func rowsInPartsOfBlocksAreRefused() throws {
    let weight = floats([Float](repeating: 1, count: 4 * 48), [4, 48])
    defer { ct_tensor_free(weight) }
    var packed = ct_packed_weight()
    try #require(ct_pack(weight, CT_PACKED_NF4, 64, false, &packed) == CT_OK)
    defer { [packed.numbers, packed.scales].forEach(ct_tensor_free) }
    var y = [Float](repeating: 0, count: 4)
    #expect(
      ct_multiply_four_bits([packed], [Float](repeating: 1, count: 48), 1, CT_INSTRUCTIONS_PLAIN, &y) == CT_INVALID_ARGUMENT)
  }
}
