import Checkpoints
import Foundation
import OrderedCollections
import Text
import Torch
import Tuners

/// Makes the tuned model of a base and a delta.
///
/// Tensors pass one by one: memory holds a few times the largest of them. `config.json` comes last, so that a folder which has one
/// is whole.
public struct DeltaApplication: Sendable {
  /// Whether the delta may be for another base: its shapes have to fit all the same.
  public var anyBase: Bool
  /// The most bytes of tensors in one file.
  public var shardByteLimit: Int

  /// An application by its settings.
  public init(anyBase: Bool = false, shardByteLimit: Int = Safetensors.defaultShardByteLimit) {
    (self.anyBase, self.shardByteLimit) = (anyBase, shardByteLimit)
  }

  /// Writes the model.
  ///
  /// - Parameters:
  ///   - delta: a folder that ``DeltaMaker`` wrote, or one in FastChat's form.
  ///   - base: the model it belongs to.
  ///   - folder: where the model goes.
  ///   - replacing: write into a folder that holds files.
  ///   - progress: told each tensor before its turn.
  /// - Returns: the files written.
  /// - Throws: ``RecipeError`` where the base is another one, or a part of the delta is missing or damaged; what reading and writing
  ///   throw.
  public func apply(
    _ delta: URL, to base: URL, writing folder: URL, replacing: Bool = false,
    progress: @escaping (String) throws -> Void = { _ in }
  ) throws -> [String] {
    try OutputFolder(url: folder).check(inputs: [delta, base], replacing: replacing, for: "the model")
    let files = try ModelFiles(base)
    let manifest = try DeltaManifest.isIn(delta) ? DeltaManifest(delta) : try foreign(delta, base: files)
    try refuseOtherBase(manifest, files)
    let stored = try source(delta, manifest)
    try refuseLeftovers(stored, manifest)
    let tensors = try manifest.entries.map { name, entry in
      let codec = try codec(name, entry, stored)
      return PendingTensor(name, shape: entry.shape, dtype: entry.dtype) {
        try progress(name)
        return try restored(name, entry, codec, stored, files)
      }
    }
    try OutputFolder(url: folder).begin(sealedBy: "config.json")
    var written = try Safetensors.write(tensors, inFolder: folder, shardByteLimit: shardByteLimit)
    var companions = ModelCompanions(source: delta, files: nil)
    written += try companions.write(to: folder)
    try AtomicFile.write(manifest.config.text(.pretty) + "\n", to: folder.appending(path: "config.json"))
    return written + ["config.json"]
  }

  /// A manifest for a delta that FastChat wrote, which names no base.
  private func foreign(_ delta: URL, base: ModelFiles) throws -> DeltaManifest {
    guard anyBase else {
      _ = try ModelFiles(delta)
      throw RecipeError(
        "\(delta.path) holds no \(DeltaManifest.fileName): a delta in FastChat's form does not say which base it belongs to. "
          + "Where you know that this is the one, --any-base applies it")
    }
    let files = try ModelFiles(delta)
    var entries: OrderedDictionary<String, DeltaManifest.Entry> = [:]
    for name in files.weights.names {
      guard let info = files.weights.info(name), let dtype = info.dtype else { continue }
      entries[name] = DeltaManifest.Entry(encoding: dtype.isFloatingPoint ? .sum : .whole, shape: info.shape, dtype: dtype)
    }
    return DeltaManifest(
      format: .fastChat, base: AdapterRecord.Base(fingerprint: ""), config: files.config, error: 0, entries: entries)
  }

  private func refuseOtherBase(_ manifest: DeltaManifest, _ base: ModelFiles) throws {
    guard !anyBase else { return }
    let own = try base.baseRecord()
    guard own.fingerprint == manifest.base.fingerprint else {
      throw RecipeError(
        "the delta belongs to another base than \(base.path): it was made with \(manifest.base.fingerprint) "
          + "(\(manifest.base.form)), and this is \(own.fingerprint) (\(own.form)). Give the base it was made with")
    }
  }

  private func source(_ delta: URL, _ manifest: DeltaManifest) throws -> any CheckpointSource {
    manifest.format == .fastChat
      ? try ModelFiles(delta).weights : try SafetensorsFile(delta.appending(path: DeltaManifest.weightsName))
  }

  private func refuseLeftovers(_ stored: any CheckpointSource, _ manifest: DeltaManifest) throws(RecipeError) {
    let known = Set(manifest.entries.flatMap { name, entry in entry.encoding.suffixes.map { name + $0 } })
    if let left = stored.names.first(where: { !known.contains($0) }) {
      throw RecipeError(
        "\(stored.path): nothing takes “\(left)”, which \(DeltaManifest.fileName) does not name; the delta is damaged")
    }
  }

  /// How a tensor is kept, with the sizes its file says; every part is checked against them.
  private func codec(
    _ name: String, _ entry: DeltaManifest.Entry, _ stored: any CheckpointSource
  ) throws(RecipeError) -> DeltaCodec {
    var codec = DeltaCodec(encoding: entry.encoding, dtype: entry.dtype, shape: entry.shape)
    guard let first = entry.encoding.suffixes.first else { return codec }
    let size = stored.info(name + first)?.shape.first ?? 0
    (codec.kept, codec.rank) = (size, size)
    for (suffix, part) in zip(entry.encoding.suffixes, codec.layout) {
      guard let info = stored.info(name + suffix) else {
        throw RecipeError("\(stored.path) lacks “\(name + suffix)”; the delta is damaged")
      }
      guard info.shape == part.shape, info.dtype == part.dtype else {
        throw RecipeError(
          "\(stored.path): “\(name + suffix)” is \(info.shape) \(info.storedType), and \(DeltaManifest.fileName) asks for "
            + "\(part.shape) \(part.dtype.rawValue); the delta is damaged")
      }
    }
    return codec
  }

  private func restored(
    _ name: String, _ entry: DeltaManifest.Entry, _ codec: DeltaCodec, _ stored: any CheckpointSource, _ base: ModelFiles
  ) throws -> Tensor {
    let parts = try entry.encoding.suffixes.map { try stored.tensor(name + $0) }
    guard entry.encoding != .whole else { return try codec.decode(parts, nil) }
    guard let info = base.weights.info(name), info.shape == entry.shape else {
      let found = base.weights.info(name).map { "of shape \($0.shape)" } ?? "none"
      throw RecipeError("\(base.path): the delta changes “\(name)” of shape \(entry.shape), and this base has \(found)")
    }
    let own = try base.weights.tensor(name, as: entry.dtype)
    if let expected = entry.baseCRC, !anyBase, try own.withUnsafeBytes(CRC32.of) != expected {
      throw RecipeError(
        "\(base.path): “\(name)” holds other numbers than the base that the delta was made with. Give that base")
    }
    do { return try codec.decode(parts, own) } catch let error as RecipeError {
      throw RecipeError("\(stored.path): “\(name)”: \(error)")
    }
  }
}
