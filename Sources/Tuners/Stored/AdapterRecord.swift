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
    /// The fingerprint of the weights that it was quantized from, where its files say which.
    public var original: String?
    /// How its weights are quantized; nil where they are not, or where that is not known.
    public var quantization: BaseQuantization?
    /// Whether it is known how its weights are quantized.
    public var isFormKnown: Bool
    /// The element type in which it computed.
    public var dtype: String?

    /// A base by what is known of it.
    public init(
      fingerprint: String, original: String? = nil, quantization: BaseQuantization? = nil, isFormKnown: Bool = true,
      dtype: String? = nil
    ) {
      (self.fingerprint, self.original, self.quantization) = (fingerprint, original, quantization)
      (self.isFormKnown, self.dtype) = (isFormKnown, dtype)
    }

    /// Whether both come from the same weights, however these are quantized.
    public func isSameModel(as other: Base) -> Bool {
      fingerprint == other.fingerprint || (original ?? fingerprint) == (other.original ?? other.fingerprint)
    }

    /// Whether the weights of both are quantized alike, or it is not known how those of one are.
    public func isSameForm(as other: Base) -> Bool {
      guard isFormKnown, other.isFormKnown else { return true }
      guard let quantization, let theirs = other.quantization else { return quantization == other.quantization }
      return quantization.isSame(as: theirs)
    }

    /// How the weights are quantized, in words.
    public var form: String {
      quantization.map { "quantized as \($0)" } ?? (isFormKnown ? "not quantized" : "not known whether quantized")
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
    var quantization: BaseQuantization?
    if let noted = base["quantization"], !noted.isNull {
      quantization = BaseQuantization(noted)
      guard quantization != nil else {
        throw TunerError(
          "\(url.path): “base.quantization” has no “type”; remove the file to use the adapter without its record")
      }
    }
    self.base = Base(
      fingerprint: fingerprint, original: base["original"]?.string, quantization: quantization,
      isFormKnown: base["quantization"] != nil, dtype: base["dtype"]?.string)
  }

  /// Writes it into an adapter's folder; a record without a base leaves no file.
  public func write(to folder: URL) throws {
    let url = folder.appending(path: Self.fileName)
    guard let base else {
      if FileManager.default.fileExists(atPath: url.path) { try FileManager.default.removeItem(at: url) }
      return
    }
    var members: OrderedDictionary<String, JSON> = ["fingerprint": .string(base.fingerprint)]
    members["original"] = base.original.map(JSON.string)
    if base.isFormKnown { members["quantization"] = base.quantization?.json ?? .null }
    members["dtype"] = base.dtype.map(JSON.string) ?? .null
    try AtomicFile.write(JSON.object(["base": .object(members)]).text(.pretty) + "\n", to: url)
  }
}
