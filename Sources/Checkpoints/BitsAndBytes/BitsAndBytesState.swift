import Foundation
import Text
import Torch

/// What bitsandbytes writes beside a weight of 4 bits: `{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": […], …}`.
struct BitsAndBytesState: Sendable, Hashable {
  /// The last part of the key in front of the format's name.
  static let keyPrefix = "quant_state.bitsandbytes__"
  /// The formats that have such a state.
  static let formats: [(name: String, format: PackedWeight.Format)] = [("nf4", .nf4), ("fp4", .fp4)]

  /// `nf4` or `fp4`.
  let type: String
  /// Numbers that share a scale.
  let blockSize: Int
  /// The type of the weight before it was packed.
  let dtype: DType
  /// [out, in].
  let shape: [Int]
  /// The mean of the scales, where they are in 8 bits.
  let offset: Double?

  /// The format by its name.
  var format: PackedWeight.Format { type == "fp4" ? .fp4 : .nf4 }

  /// The state of a packed weight; nil for one that is not of 4 bits.
  init?(_ packed: PackedWeight) {
    guard let known = Self.formats.first(where: { $0.format == packed.format }) else { return nil }
    (type, blockSize, dtype, shape) = (known.name, packed.blockSize, packed.dtype, packed.shape)
    offset = packed.nested.map { Double($0.offset) }
  }

  /// Reads the bytes of a state.
  ///
  /// - Throws: ``CheckpointError`` with the tensor and the member that is wrong.
  init(_ bytes: [UInt8], path: String, tensor: String) throws(CheckpointError) {
    func failure(_ problem: String) -> CheckpointError {
      CheckpointError(.malformed, at: path, in: "tensor “\(tensor)”", problem)
    }
    guard let text = String(validating: bytes, as: UTF8.self), let json = try? JSON(parsing: text), json.object != nil else {
      throw failure("is not the JSON object in UTF-8 that bitsandbytes writes")
    }
    guard let type = json["quant_type"]?.string, Self.formats.contains(where: { $0.name == type }) else {
      throw failure("has “quant_type” \(json["quant_type"]?.text() ?? "missing"); known are nf4 and fp4")
    }
    guard let size = json["blocksize"]?.int, size >= 32, size <= 4096, size.nonzeroBitCount == 1 else {
      throw failure("has “blocksize” \(json["blocksize"]?.text() ?? "missing"), no power of 2 from 32 to 4096")
    }
    let dtypes: [DType] = [.float32, .bfloat16, .float16]
    guard let dtype = dtypes.first(where: { $0.rawValue == json["dtype"]?.string }) else {
      throw failure("has “dtype” \(json["dtype"]?.text() ?? "missing"); known are float32, bfloat16 and float16")
    }
    let sizes = (json["shape"]?.array ?? []).compactMap(\.int)
    guard sizes.count == 2, sizes.allSatisfy({ $0 > 0 && $0 < 1 << 31 }) else {
      throw failure("has “shape” \(json["shape"]?.text() ?? "missing"), no two sizes")
    }
    if let nested = json["nested_blocksize"]?.int, nested != 256 {
      throw failure("has “nested_blocksize” \(nested); only 256 is known")
    }
    let offset = json["nested_offset"]
    (self.type, blockSize, self.dtype, shape) = (type, size, dtype, sizes)
    self.offset = offset?.double ?? offset?.int.map(Double.init)
  }

  /// The bytes, as Python's `json.dumps` spaces them.
  var bytes: [UInt8] {
    var members = [
      "\"quant_type\": \"\(type)\"", "\"blocksize\": \(blockSize)", "\"dtype\": \"\(dtype.rawValue)\"",
      "\"shape\": [\(shape.map(String.init).joined(separator: ", "))]",
    ]
    if let offset {
      members += ["\"nested_blocksize\": 256", "\"nested_dtype\": \"float32\"", "\"nested_offset\": \(offset)"]
    }
    return Array("{\(members.joined(separator: ", "))}".utf8)
  }
}
