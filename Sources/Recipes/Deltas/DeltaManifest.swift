import Checkpoints
import Foundation
import OrderedCollections
import Text
import Torch
import Tuners

/// What a delta says of itself: `delta.json`.
public struct DeltaManifest: Sendable {
  /// One tensor of the tuned model.
  struct Entry: Sendable {
    var encoding: DeltaEncoding
    var shape: [Int]
    var dtype: DType
    /// Check value of the base's tensor in ``dtype``; nil where the base has none.
    var baseCRC: UInt32?
    /// ‖tuned − restored‖ / ‖tuned − base‖.
    var error = 0.0
  }

  /// The file's name.
  public static let fileName = "delta.json"
  /// The file of the tensors.
  public static let weightsName = "delta.safetensors"
  private static let version = 1

  /// How it is kept.
  public var format: DeltaFormat
  /// The base it belongs to.
  public var base: AdapterRecord.Base
  /// The tuned model's `config.json`.
  public var config: JSON
  /// ‖tuned − restored‖ / ‖tuned − base‖ over all tensors that both models have.
  public var error: Double
  /// Every tensor of the tuned model, in its order.
  var entries: OrderedDictionary<String, Entry>

  init(
    format: DeltaFormat, base: AdapterRecord.Base, config: JSON, error: Double, entries: OrderedDictionary<String, Entry>
  ) {
    (self.format, self.base, self.config, self.error, self.entries) = (format, base, config, error, entries)
  }

  var json: JSON {
    [
      "attune_delta": .int(Self.version),
      "format": .string(format.rawValue),
      "base": [
        "fingerprint": .string(base.fingerprint), "quantization": base.quantization.map { .string($0.description) } ?? .null,
      ],
      "relative_error": .double(error),
      "config": config,
      "tensors": .object(
        entries.mapValues { entry in
          [
            "encoding": .string(entry.encoding.rawValue), "shape": .array(entry.shape.map(JSON.int)),
            "dtype": .string(entry.dtype.rawValue), "base_crc32": entry.baseCRC.map { .int(Int($0)) } ?? .null,
            "relative_error": .double(entry.error),
          ]
        }),
    ]
  }

  /// Whether a folder holds a delta with a manifest.
  public static func isIn(_ folder: URL) -> Bool {
    FileManager.default.fileExists(atPath: folder.appending(path: fileName).path)
  }

  /// Reads the manifest of a delta's folder.
  ///
  /// - Throws: ``RecipeError`` or `CheckpointError` that names the file and the key.
  public init(_ folder: URL) throws {
    let url = folder.appending(path: Self.fileName)
    guard Self.isIn(folder) else { throw RecipeError("\(folder.path) holds no \(Self.fileName), so it is no delta of ours") }
    let json = try JSONFile.object(at: url)
    func wrong(_ key: String) -> RecipeError { RecipeError("\(url.path): “\(key)” is missing or damaged; make the delta again") }
    guard json["attune_delta"]?.int == Self.version else {
      throw RecipeError("\(url.path): “attune_delta” is not \(Self.version), the version that this program knows")
    }
    guard let format = json["format"]?.string.flatMap(DeltaFormat.init) else { throw wrong("format") }
    guard let fingerprint = json["base"]?["fingerprint"]?.string else { throw wrong("base.fingerprint") }
    guard let config = json["config"], config.object != nil else { throw wrong("config") }
    guard let tensors = json["tensors"]?.object else { throw wrong("tensors") }
    self.format = format
    base = AdapterRecord.Base(
      fingerprint: fingerprint, quantization: (json["base"]?["quantization"]?.string).map(BaseQuantization.init(described:)))
    self.config = config
    error = json["relative_error"]?.double ?? 0
    entries = [:]
    for (name, value) in tensors {
      guard let entry = Entry(value) else { throw wrong("tensors.\(name)") }
      entries[name] = entry
    }
  }

  /// Writes it; the last file of a delta.
  func write(to folder: URL) throws {
    try AtomicFile.write(json.text(.pretty) + "\n", to: folder.appending(path: Self.fileName))
  }
}

extension DeltaManifest.Entry {
  fileprivate init?(_ json: JSON) {
    guard let encoding = json["encoding"]?.string.flatMap(DeltaEncoding.init),
      let dtype = json["dtype"]?.string.flatMap(DType.init(rawValue:)), let sizes = json["shape"]?.array
    else { return nil }
    let shape = sizes.compactMap(\.int)
    guard shape.count == sizes.count, shape.allSatisfy({ $0 >= 0 }) else { return nil }
    self.init(
      encoding: encoding, shape: shape, dtype: dtype,
      baseCRC: json["base_crc32"]?.int.flatMap { UInt32(exactly: $0) }, error: json["relative_error"]?.double ?? 0)
  }
}
