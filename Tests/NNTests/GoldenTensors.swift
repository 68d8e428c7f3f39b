import Foundation
import TestSupport
import Testing
import Torch

/// The tensors of a golden safetensors file: a header's length, the header in JSON, the numbers.
struct GoldenTensors {
  private struct Entry: Decodable {
    let dtype: String
    let shape: [Int]
    let dataOffsets: [Int]

    enum CodingKeys: String, CodingKey {
      case dtype, shape
      case dataOffsets = "data_offsets"
    }
  }

  struct Missing: Error { let key: String }

  private let bytes: [UInt8]
  private let entries: [String: Entry]
  private let start: Int

  init(_ path: String) throws {
    bytes = [UInt8](try Golden.data(path))
    let length = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    start = 8 + length
    entries = try JSONDecoder().decode([String: Entry].self, from: Data(bytes[8..<start]))
  }

  subscript(key: String) -> Tensor {
    get throws {
      guard let entry = entries[key] else { throw Missing(key: key) }
      let types: [String: DType] = ["F32": .float32, "I64": .int64, "U8": .uint8]
      guard let dtype = types[entry.dtype] else { throw Missing(key: "\(key) of type \(entry.dtype)") }
      return try bytes.withUnsafeBytes { all throws(TorchError) in
        let numbers = UnsafeRawBufferPointer(rebasing: all[start + entry.dataOffsets[0]..<start + entry.dataOffsets[1]])
        return try Tensor(copying: numbers, shape: entry.shape, dtype: dtype)
      }
    }
  }

  /// Checks `body` at the inputs NAME of `group` against its output, and the gradients of all of them.
  func check(
    _ group: String, _ names: [String], relative: Double = 1e-5, absolute: Double = 1e-6,
    sourceLocation: SourceLocation = #_sourceLocation, _ body: ([Tensor]) throws -> Tensor
  ) throws {
    let inputs = try names.map { try self["\(group).\($0)"] }
    let found = try differentiate(inputs, cotangent: try self["\(group).cotangent"], body)
    func check(_ actual: Tensor, _ key: String) throws {
      let expected = try self["\(group).\(key)"]
      try assertClose(
        actual, expected, relative: relative, absolute: absolute, "\(group).\(key)", sourceLocation: sourceLocation)
    }
    try check(found.value, "output")
    for (name, gradient) in zip(names, found.gradients) {
      guard let gradient else { throw Missing(key: "gradient of \(name)") }
      try check(gradient, "grad.\(name)")
    }
  }
}
