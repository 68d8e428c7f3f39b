import Checkpoints
import TestSupport
import Testing
import Torch

/// Packed weights against bitsandbytes' bytes (`Scripts/goldens/quantization.py`), and refusals.
@Suite struct PackedWeightTests {
  static let names = ["random", "half", "partial", "odd", "constant", "zero", "huge", "tiny", "mixed", "midpoints"]
  static let fourBits: [(name: String, format: PackedWeight.Format)] = [("nf4", .nf4), ("fp4", .fp4)]

  private func same(_ own: Tensor?, _ file: String, _ name: String) throws {
    let expected = try Goldens.tensors("quantization/\(file).safetensors").tensor(name)
    let own = try #require(own)
    #expect(own.dtype == expected.dtype && own.count == expected.count, "\(name): \(own.summary) instead of \(expected.summary)")
    #expect(try own.reshaped([own.count]).isEqual(to: expected.reshaped([expected.count])), "\(name)")
  }

  @Test(arguments: names, fourBits.map(\.name)) func fourBitsAreTheReferencesToTheByte(name: String, type: String) throws {
    let file = try Goldens.tensors("quantization/\(type).safetensors")
    let format = try #require(Self.fourBits.first { $0.name == type }).format
    let weight = try Goldens.tensors("quantization/weights.safetensors").tensor("\(name).weight")
    let plain = try PackedWeight(packing: weight, as: format, doubleQuant: false)
    try same(plain.numbers, type, "\(name).\(type).numbers")
    try same(plain.scales, type, "\(name).\(type).absmax")
    #expect(plain.nested == nil)
    try same(try plain.expanded(), type, "\(name).\(type).expanded")
    guard file.info("\(name).\(type).codes") != nil else { return }
    let nested = try PackedWeight(packing: weight, as: format)
    try same(nested.numbers, type, "\(name).\(type).numbers")
    try same(nested.scales, type, "\(name).\(type).codes")
    try same(nested.nested?.outerScales, type, "\(name).\(type).nested_absmax")
    try same(nested.nested?.map, "maps", "dynamic")
    #expect(try nested.nested?.offset == file.tensor("\(name).\(type).offset").array(Float.self)[0])
    try same(try nested.expanded(), type, "\(name).\(type).double")
  }

  /// More scales than one outer block.
  @Test(arguments: fourBits.map(\.name)) func manyScales(type: String) throws {
    let file = try Goldens.tensors("quantization/nested-\(type).safetensors")
    let format = try #require(Self.fourBits.first { $0.name == type }).format
    let packed = try PackedWeight(packing: try file.tensor("nested.weight"), as: format)
    try same(packed.numbers, "nested-\(type)", "nested.\(type).numbers")
    try same(packed.scales, "nested-\(type)", "nested.\(type).codes")
    try same(packed.nested?.outerScales, "nested-\(type)", "nested.\(type).nested_absmax")
  }

  @Test(arguments: names) func eightBitsAreTheReferencesToTheByte(name: String) throws {
    let file = try Goldens.tensors("quantization/weights.safetensors")
    guard file.info("\(name).int8.numbers") != nil else { return }
    let packed = try PackedWeight(packing: try file.tensor("\(name).weight"), as: .int8, dtype: .float32)
    try same(packed.numbers, "weights", "\(name).int8.numbers")
    try same(packed.scales, "weights", "\(name).int8.SCB")
    try same(try packed.expanded(), "weights", "\(name).int8.expanded")
  }

  @Test func tablesOfValues() throws {
    for (name, format) in Self.fourBits {
      #expect(try format.values() == Goldens.tensors("quantization/maps.safetensors").tensor(name).array(Float.self))
    }
    #expect(throws: TorchError.self) { try PackedWeight.Format.int8.values() }
  }

  @Test(arguments: [PackedWeight.Format.nf4, .fp4, .int8]) func refusesWhatItCannotPack(format: PackedWeight.Format) throws {
    for bad in [Float.nan, .infinity, -.infinity] {
      var numbers = [Float](repeating: 0.5, count: 192)
      numbers[130] = bad
      let error = #expect(throws: TorchError.self) { try PackedWeight(packing: try Tensor(numbers, shape: [3, 64]), as: format) }
      #expect(error?.message.contains("not finite") == true)
    }
    #expect(throws: TorchError.self) { try PackedWeight(packing: try .ones([64]), as: format) }
    #expect(throws: TorchError.self) { try PackedWeight(packing: try .ones([2, 64], dtype: .int32), as: format) }
    #expect(throws: TorchError.self) { try PackedWeight(packing: try .ones([2, 64]), as: .blocks(.q4K)) }
    if format != .int8 {
      #expect(throws: TorchError.self) { try PackedWeight(packing: try .ones([2, 64]), as: format, blockSize: 48) }
    }
  }

  @Test func refusesPartsThatDoNotFit() throws {
    let whole = try PackedWeight(packing: try .pattern([6, 64]), as: .nf4)
    let x = try Tensor.pattern([2, 64])
    let changes: [(inout PackedWeight) throws -> Void] = [
      { $0.shape = [7, 64] }, { $0.shape = [0, 64] }, { $0.scales = nil }, { $0.scales = try .ones([6]) }, { $0.nested = nil },
      { $0.nested?.map = try .ones([255]) }, { $0.nested?.outerScales = try .ones([2]) }, { $0.blockSize = 0 },
      { $0.blockSize = 65 }, { $0.dtype = .int8 }, { $0.numbers = try .zeros([191], dtype: .uint8) }, { $0.format = .int8 },
      { $0.format = .blocks(.q4K) }, { $0.shape = [1 << 40, 1 << 40] },
    ]
    for (index, change) in changes.enumerated() {
      var broken = whole
      try change(&broken)
      #expect(throws: TorchError.self, "\(index)") { try broken.expanded() }
      #expect(throws: TorchError.self, "\(index)") { try x.linears([LinearWeight(packed: broken)]) }
    }
    #expect(throws: TorchError.self) { try whole.expanded(rows: 3..<7) }
    #expect(throws: TorchError.self) { try whole.expanded(as: .int32) }
  }

  @Test func expandsSomeOfTheRows() throws {
    for format in [PackedWeight.Format.nf4, .fp4, .int8] {
      let packed = try PackedWeight(packing: try .pattern([9, 37]), as: format)  // rows start in the middle of bytes and blocks
      let whole = try packed.expanded()
      for rows in [0..<1, 3..<8, 8..<9, 4..<4] {
        #expect(try packed.expanded(rows: rows).isEqual(to: whole.narrowed(0, rows)), "\(rows)")
      }
      let narrow = try packed.expanded(as: .bfloat16)
      #expect(try narrow.isEqual(to: whole.to(.bfloat16)))
    }
  }
}
