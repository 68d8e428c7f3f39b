import Foundation
import Testing
import Torch

@testable import Checkpoints

struct GGUFErrorTests {
  private static let four = [UInt8](repeating: 0, count: 16)
  private static let tensor: (String, [Int], UInt32, [UInt8]) = ("x", [4], 0, four)

  /// The bytes with eight of them replaced, counted from the end of the first occurrence of `text`.
  private static func after(_ text: String, put value: UInt64, in bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    let pattern = Array(text.utf8)
    guard let start = bytes.indices.first(where: { bytes[$0...].starts(with: pattern) }) else { return [] }
    let place = start + pattern.count
    withUnsafeBytes(of: value) { bytes.replaceSubrange(place..<place + 8, with: $0) }
    return bytes
  }

  private static let nested: GGUFValue = .array(.array([.array([.array([.array([.int32([1])])])])]))

  @Test(
    arguments: [
      ([], "the file ends inside the first four bytes"),
      (Array("GGML".utf8) + four, "does not begin with the letters GGUF"),
      (GGUFBytes(version: 3 << 24).file, "is a big-endian GGUF file"),
      (GGUFBytes(version: 1).file, "is GGUF version 1; versions 2 and 3 can be read"),
      (GGUFBytes(tensors: [tensor], declaredTensors: .max).file, "the number of tensors is 18446744073709551615, more than fit"),
      (GGUFBytes(keys: [("a", .uint8(1))], declaredKeys: 1 << 62).file, "the number of metadata keys is 4611686018427387904"),
      (GGUFBytes(declaredKeys: 0).file.dropLast(9).map { $0 }, "the file ends inside the number of metadata keys"),
      (GGUFBytes(keys: [("a", .uint8(1)), ("a", .uint8(2))]).file, "key “a”: comes twice"),
      (GGUFBytes(tensors: [tensor, tensor]).file, "tensor “x”: comes twice"),
      (GGUFBytes(keys: [("general.alignment", .uint32(24))]).file, "key “general.alignment”: 24 is not a power of two"),
      (GGUFBytes(keys: [("general.alignment", .uint32(0))]).file, "key “general.alignment”: 0 is not a power of two"),
      (GGUFBytes(tensors: [("x", [1, 1, 1, 1, 4], 0, four)]).file, "tensor “x”: has 5 dimensions, more than 4"),
      (GGUFBytes(tensors: [("x", [4], 77, four)]).file, "tensor “x”: has the unknown element type 77"),
      (GGUFBytes(tensors: [("x", [4], 2, four)]).file, "tensor “x”: its shape [4] is not one a tensor of type Q4_0 can have"),
      (GGUFBytes(tensors: [("x", [-1], 0, four)]).file, "tensor “x”: its size 18446744073709551615 is not one"),
      (GGUFBytes(tensors: [("x", [1 << 40, 1 << 40], 0, four)]).file, "tensor “x”: its shape"),
      (GGUFBytes(tensors: [("x", [1 << 62], 0, four)]).file, "tensor “x”: its shape"),
      (GGUFBytes(tensors: [("x", [1 << 40], 0, four)]).file, "tensor “x”: takes 4398046511104 bytes from byte"),
      (GGUFBytes(tensors: [tensor], offsets: [4]).file, "tensor “x”: its offset 4 is not a multiple of the alignment 32"),
      (GGUFBytes(tensors: [tensor], offsets: [1 << 63]).file, "tensor “x”: its offset 9223372036854775808"),
      (GGUFBytes(tensors: [tensor], offsets: [1 << 61]).file, "tensor “x”: takes 16 bytes from byte"),
      (GGUFBytes(tensors: [tensor, ("y", [4], 0, four)], offsets: [0, 0]).file, "its bytes overlap those of tensor"),
      (GGUFBytes(keys: [("a", nested)]).file, "key “a”: arrays nest deeper than 4 levels"),
      (
        after("key", put: 99, in: GGUFBytes(keys: [("key", .uint32(0)), ("b", .uint32(0))]).file),
        "key “key”: has the unknown type 99"
      ),
      (
        after("key", put: 9 | 8 << 32, in: GGUFBytes(keys: [("key", .array(.int32([1, 2, 3])))]).file),
        "key “key”: "
      ),
      (GGUFBytes(tensors: [(String(repeating: "n", count: 300), [4], 0, four)]).file, "the length of the name is 300"),
    ] as [([UInt8], String)])
  func wrongFilesAreRefused(bytes: [UInt8], reason: String) throws {
    let folder = try TemporaryFolder()
    let url = try folder.write(bytes, to: "a.gguf")
    let text = try #require(failure { _ = try GGUFFile(url) })
    #expect(text.hasPrefix(url.path))
    #expect(text.contains(reason), "\(text)")
  }

  @Test func typesWithoutLoaderAreListedAndRefused() throws {
    let folder = try TemporaryFolder()
    let block = [UInt8](repeating: 0, count: 136)
    let file = try GGUFFile(folder.write(GGUFBytes(tensors: [("x", [256], 23, block)]).file, to: "a.gguf"))
    #expect(file.info("x")?.storedType == "IQ4_XS")
    let text = failure { _ = try file.tensor("x") }
    #expect(text?.contains("tensor “x”: weights of type IQ4_XS cannot be loaded; these can: BF16, F16, F32") == true)
  }

  @Test func versionTwoIsRead() throws {
    let folder = try TemporaryFolder()
    let bytes = GGUFBytes(version: 2, keys: [("a", .string("b"))], tensors: [Self.tensor]).file
    let file = try GGUFFile(folder.write(bytes, to: "a.gguf"))
    #expect(try file.metadata.string("a") == "b")
    #expect(try file.tensor("x").array(Float.self) == [0, 0, 0, 0])
  }
}
