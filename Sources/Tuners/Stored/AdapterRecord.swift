import Checkpoints
import Foundation
import OrderedCollections
import Text

/// What Attune notes beside PEFT's files of an adapter: which base it was trained on.
public struct AdapterRecord: Sendable, Hashable {
  /// The base of an adapter.
  public struct Base: Sendable, Hashable {
    /// What tells it from other models, as text that is compared.
    public var fingerprint: String
    /// The format of its weights where they are quantized: `Q4_K`, `bitsandbytes`; nil where they are not.
    public var quantization: String?
    /// The element type in which it computed.
    public var dtype: String?

    /// A base by what is known of it.
    public init(fingerprint: String, quantization: String? = nil, dtype: String? = nil) {
      (self.fingerprint, self.quantization, self.dtype) = (fingerprint, quantization, dtype)
    }
  }

  /// The file's name.
  public static let fileName = "attune.json"

  /// The base; nil where it is not known.
  public var base: Base?

  /// A record of a base.
  public init(base: Base? = nil) { self.base = base }

  /// Reads the record of an adapter's folder; nil where there is none, as in PEFT's own.
  ///
  /// - Throws: `CheckpointError` for a damaged file, ``TunerError`` for one that says something else.
  public init?(readingFrom folder: URL) throws {
    let url = folder.appending(path: Self.fileName)
    guard FileManager.default.fileExists(atPath: url.path) else { return nil }
    let json = try JSONFile.object(at: url)
    guard let base = json["base"], !base.isNull else { return }
    guard let fingerprint = base["fingerprint"]?.string, !fingerprint.isEmpty else {
      throw TunerError("\(url.path): “base.fingerprint” is missing; remove the file to use the adapter without its record")
    }
    self.base = Base(
      fingerprint: fingerprint, quantization: base["quantization"]?.string, dtype: base["dtype"]?.string)
  }

  /// Writes it into an adapter's folder; a record without a base leaves no file.
  public func write(to folder: URL) throws {
    let url = folder.appending(path: Self.fileName)
    guard let base else {
      if FileManager.default.fileExists(atPath: url.path) { try FileManager.default.removeItem(at: url) }
      return
    }
    let json: JSON = [
      "base": [
        "fingerprint": .string(base.fingerprint), "quantization": base.quantization.map(JSON.string) ?? .null,
        "dtype": base.dtype.map(JSON.string) ?? .null,
      ]
    ]
    try AtomicFile.write(json.text(.pretty) + "\n", to: url)
  }
}
