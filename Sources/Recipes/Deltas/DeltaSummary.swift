import Checkpoints
import Foundation
import OrderedCollections
import Text
import Torch
import Tuners

/// What a delta holds, by its manifest and the headers of its files.
public struct DeltaSummary: Sendable {
  /// The tensors that are kept in one way.
  public struct Group: Sendable, Hashable {
    /// The way: `same`, `bits`, `sparse` …
    public let encoding: String
    /// Tensors.
    public var tensors: Int
    /// Bytes they take in the delta.
    public var bytes: Int
  }

  /// The folder.
  public let path: String
  /// The manifest.
  public let manifest: DeltaManifest
  /// The ways there are, in the order in which they come.
  public let groups: [Group]
  /// Bytes of the tensors of the tuned model.
  public let tunedByteCount: Int
  /// The tensors that lose most, worst first.
  public let worst: [(name: String, error: Double)]

  /// Bytes of the tensors of the delta.
  public var byteCount: Int { groups.reduce(0) { $0 + $1.bytes } }

  /// Looks a delta over; no tensor is read.
  ///
  /// - Throws: ``RecipeError`` or `CheckpointError` for a folder that holds no delta, or a damaged one.
  public init(_ folder: URL) throws {
    path = folder.path
    manifest = try DeltaManifest(folder)
    let stored: any CheckpointSource =
      manifest.format == .fastChat
      ? try ModelFiles(folder).weights : try SafetensorsFile(folder.appending(path: DeltaManifest.weightsName))
    var groups: OrderedDictionary<String, Group> = [:]
    var tuned = 0
    for (name, entry) in manifest.entries {
      let key = entry.encoding.rawValue
      var group = groups[key] ?? Group(encoding: key, tensors: 0, bytes: 0)
      group.tensors += 1
      for suffix in entry.encoding.suffixes {
        guard let info = stored.info(name + suffix) else {
          throw RecipeError("\(stored.path) lacks “\(name + suffix)”; the delta is damaged")
        }
        group.bytes += info.byteCount
      }
      groups[key] = group
      // Sizes come out of a file: their product may not fit.
      let size = entry.shape.reduce(1.0) { $0 * Double($1) } * Double(entry.dtype.byteSize)
      guard size < 1e18 else { throw RecipeError("\(folder.path): “\(name)” cannot have the shape \(entry.shape)") }
      tuned += Int(size)
    }
    self.groups = Array(groups.values)
    tunedByteCount = tuned
    worst = manifest.entries.filter { $0.value.error > 0 }.sorted { $0.value.error > $1.value.error }.prefix(5).map {
      ($0.key, $0.value.error)
    }
  }

  /// All of it.
  public var json: JSON {
    [
      "path": .string(path),
      "format": .string(manifest.format.rawValue),
      "base": [
        "fingerprint": .string(manifest.base.fingerprint),
        "quantization": manifest.base.quantization.map { .string($0.description) } ?? .null,
      ],
      "relative_error": .double(manifest.error),
      "bytes": .int(byteCount),
      "tuned_bytes": .int(tunedByteCount),
      "encodings": .array(
        groups.map { ["encoding": .string($0.encoding), "tensors": .int($0.tensors), "bytes": .int($0.bytes)] }),
      "worst": .array(worst.map { ["name": .string($0.name), "relative_error": .double($0.error)] }),
    ]
  }
}
