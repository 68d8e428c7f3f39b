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
}
