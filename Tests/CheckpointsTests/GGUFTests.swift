import Foundation
import Testing
import Torch

@testable import Checkpoints

struct GGUFTests {
  private let file: GGUFFile
  private let expected: SafetensorsFile

  init() throws {
    file = try GGUFFile(Golden.url("quantized.gguf"))
    expected = try SafetensorsFile(Golden.url("quantized.expected.safetensors"))
  }

  private static let types = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]

  @Test(arguments: types) func expandsAsTheReferenceDoes(type: String) throws {
    let name = "type.\(type)"
    let reference = try expected.tensor(name)
    let tensor = try file.tensor(name, as: .float32)
    #expect(tensor.shape == [3, 512])
    #expect(try bytes(tensor) == bytes(reference))
    // Rounded as libtorch rounds the same float32 numbers.
    #expect(try bytes(file.tensor(name, as: .bfloat16)) == bytes(reference.to(.bfloat16)))
    #expect(try bytes(file.tensor(name, as: .float16)) == bytes(reference.to(.float16)))
    #expect(file.info(name)?.storedType == type)
  }

  @Test(arguments: types) func storedTypes(type: String) throws {
    let dtype = try file.tensor("type.\(type)").dtype
    #expect(dtype == (type == "F16" ? .float16 : type == "BF16" ? .bfloat16 : .float32))
    #expect(file.info("type.\(type)")?.dtype == dtype)
  }

  @Test func everyHalfBecomesTheSameFloat() throws {
    let halves = try file.tensor("halves")
    #expect(halves.dtype == .float16)
    for dtype in [DType.float32, .bfloat16] {
      let own = try file.tensor("halves", as: dtype)
      let reference = try halves.to(.float32).to(dtype)
      let isNumber = try halves.array(Float.self).map { !$0.isNaN }
      let pairs = try zip(own.array(Float.self), reference.array(Float.self)).enumerated()
      for (index, pair) in pairs where isNumber[index] { #expect(pair.0.bitPattern == pair.1.bitPattern) }
      #expect(try own.array(Float.self).map(\.isNaN) == isNumber.map { !$0 })
    }
  }

  @Test(arguments: [("I8", DType.int8), ("I16", .int16), ("I32", .int32), ("I64", .int64), ("F64", .float64)])
  func wholeNumbersStayAsTheyAre(name: String, dtype: DType) throws {
    let tensor = try file.tensor("stored.\(name)")
    #expect(tensor.dtype == dtype)
    #expect(tensor.shape == [2, 3])
    #expect(try tensor.array(Double.self) == [-3, -2, -1, 0, 1, 2])
  }

  @Test func givesTheStoredBytes() throws {
    #expect(try file.withStoredBytes(of: "type.Q4_K") { $0.count } == 3 * 2 * 144)
    #expect(throws: CheckpointError.self) { try file.withStoredBytes(of: "none") { _ in } }
  }

  @Test func readsEveryTypeOfValue() throws {
    let metadata = file.metadata
    #expect(metadata["value.uint8"] == .uint8(200))
    #expect(metadata["value.int8"] == .int8(-100))
    #expect(metadata["value.uint16"] == .uint16(60_000))
    #expect(metadata["value.int16"] == .int16(-30_000))
    #expect(metadata["value.uint32"] == .uint32(4_000_000_000))
    #expect(metadata["value.int32"] == .int32(-2_000_000_000))
    #expect(metadata["value.uint64"] == .uint64(1 << 63 + 1))
    #expect(metadata["value.int64"] == .int64(-(1 << 62)))
    #expect(metadata["value.float32"] == .float32(1e-5))
    #expect(metadata["value.float64"] == .float64(1e-300))
    #expect(metadata["value.bool"] == .bool(true))
    #expect(metadata["value.string"] == .string("text é"))
    #expect(try metadata.strings("value.strings") == ["a", "", "ü"])
    #expect(try metadata.ints("value.ints") == [1, -2, 3])
    #expect(try metadata.floats("value.floats") == [0.5, -1.5])
    #expect(metadata["value.bools"]?.array?.bools == [true, false])
    #expect(try metadata.double("value.float32") == 1e-5)
    #expect(metadata["value.uint64"]?.int == nil)
    #expect(try metadata.int("none") == nil)
    let text = failure { _ = try metadata.int("value.string") }
    #expect(text == "\(file.path): key “value.string”: its value is not a whole number")
  }

  @Test func aFileWithoutModelIsNoModel() {
    #expect(failure { _ = try GGUFModel(file) }?.contains("key “general.architecture”: “none” is not supported") == true)
  }
}
