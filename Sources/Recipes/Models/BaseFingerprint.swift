import Checkpoints
import Datasets
import Foundation
import OrderedCollections
import Text
import Tuners

/// What tells one set of base weights from another, found without reading all of them.
///
/// It is SHA-256 over each tensor's name, stored type, shape and a sample of its stored bytes, in order of names: all bytes of a
/// tensor of at most 4096 of them, else eight windows of 512 at even distances, the first and the last included.
///
/// It is the same for a folder and its copy in other shards or with another order of tensors. It differs where a tensor is added,
/// missing, renamed, reshaped, converted or quantized, and where any byte of a window differs: every tuned model of ours and of
/// others, since a step of an optimizer changes numbers everywhere. A change of a few numbers between the windows is not seen,
/// nor is one of config.json or of the tokenizer.
public struct BaseFingerprint: Sendable, Hashable, CustomStringConvertible {
  /// The digest as text, with the name of this way to find it in front.
  public let description: String

  private static let scheme = "sampled-sha256-1"
  private static let windows = 8
  private static let windowSize = 512

  /// The fingerprint of weights.
  ///
  /// - Throws: what reading them throws.
  public init(_ weights: any CheckpointSource) throws {
    var hash = SHA256()
    func add(_ text: String) {
      hash.update(withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian, Array.init))
      hash.update(Array(text.utf8))
    }
    add(Self.scheme)
    for name in weights.names.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
      guard let info = weights.info(name) else { continue }
      add(name)
      add(info.storedType)
      add(info.shape.map(String.init).joined(separator: ","))
      try weights.withStoredBytes(of: name) { bytes in
        for range in Self.ranges(bytes.count) { hash.update(UnsafeRawBufferPointer(rebasing: bytes[range])) }
      }
    }
    description = Self.scheme + ":" + hash.digest().map { String(format: "%02x", $0) }.joined()
  }

  /// The parts of `count` bytes that are read.
  static func ranges(_ count: Int) -> [Range<Int>] {
    guard count > windows * windowSize else { return [0..<count] }
    return (0..<windows).map { index in
      let start = index * (count - windowSize) / (windows - 1)
      return start..<start + windowSize
    }
  }
}

extension ModelFiles {
  /// What an adapter that is trained on these weights notes of them.
  ///
  /// - Parameter dtype: the element type in which they compute.
  /// - Throws: what reading them throws.
  public func baseRecord(dtype: String? = nil) throws -> AdapterRecord.Base {
    AdapterRecord.Base(
      fingerprint: try BaseFingerprint(weights).description,
      original: try QuantizedOrigin(readingFrom: URL(filePath: path))?.fingerprint, quantization: quantization, dtype: dtype)
  }

  /// How the weights are quantized: as config.json says, or in the type of GGUF that most are in; nil where they are not.
  public var quantization: BaseQuantization? {
    if let settings = config["quantization_config"], !settings.isNull {
      guard settings["quant_method"]?.string == "bitsandbytes" else {
        return BaseQuantization(settings["quant_method"]?.string ?? "unknown")
      }
      let isFourBits = settings["load_in_4bit"]?.bool ?? settings["_load_in_4bit"]?.bool ?? false
      return BaseQuantization(
        isFourBits ? settings["bnb_4bit_quant_type"]?.string ?? "fp4" : "int8",
        doubleQuant: isFourBits && settings["bnb_4bit_use_double_quant"]?.bool ?? false,
        skipModules: (settings["llm_int8_skip_modules"]?.array ?? []).compactMap(\.string))
    }
    var bytes: OrderedDictionary<String, Int> = [:]
    for info in weights.names.compactMap(weights.info) where info.storedType.wholeMatch(of: /I?Q\d.*|TQ.*|MXFP.*/) != nil {
      bytes[info.storedType, default: 0] += info.byteCount
    }
    return bytes.max { $0.value < $1.value }.map { BaseQuantization($0.key) }
  }
}
