import Checkpoints
import Foundation
import OrderedCollections
import Text
import Torch
import Tuners

/// Makes the difference of a tuned model and its base a folder of its own.
///
/// Tensors pass one by one: memory holds a few times the largest of them.
public struct DeltaMaker: Sendable {
  /// How the difference is kept.
  public var format: DeltaFormat
  /// The share of a matrix's elements that a sparse delta keeps, above 0 up to 1.
  public var density: Double
  /// The rank of a low-rank delta.
  public var rank: Int

  /// A maker by its settings.
  public init(_ format: DeltaFormat = .dense, density: Double = 0.1, rank: Int = 64) {
    (self.format, self.density, self.rank) = (format, density, rank)
  }

  /// What was made.
  public struct Report: Sendable {
    /// The manifest.
    public let summary: DeltaSummary
    /// The files written.
    public let files: [String]
    /// What could not be written and why.
    public let notes: [String]
  }

  /// Writes the delta of two models.
  ///
  /// - Parameters:
  ///   - base: the model that the delta will be applied to: a folder or a .gguf file.
  ///   - tuned: the model that comes back: a folder.
  ///   - folder: where the delta goes.
  ///   - replacing: write into a folder that holds files.
  ///   - progress: told what is being done, tensor by tensor.
  /// - Throws: ``RecipeError`` for settings out of range, models of different shapes, or numbers that a form cannot keep; what
  ///   reading and writing throw.
  public func make(
    base: URL, tuned: URL, to folder: URL, replacing: Bool = false, progress: @escaping (String) throws -> Void = { _ in }
  ) throws -> Report {
    try validate()
    try OutputFolder(url: folder).check(inputs: [base, tuned], replacing: replacing, for: "the delta")
    let pair = try ModelPair(base: ModelFiles(base), tuned: ModelFiles(tuned))
    var entries = try survey(pair, progress: progress)
    let seal = format == .fastChat ? "config.json" : DeltaManifest.fileName
    try OutputFolder(url: folder).begin(sealedBy: seal)
    let losses = Losses()
    var files: [String]
    let parts = DeltaParts(pair: pair, losses: losses, progress: progress)
    let tensors = entries.flatMap { parts.pending($0.key, codec($0.value), isInBase: $0.value.baseCRC != nil) }
    if format == .fastChat {
      files = try Safetensors.write(tensors, inFolder: folder)
    } else {
      try Safetensors.write(tensors, to: folder.appending(path: DeltaManifest.weightsName))
      files = [DeltaManifest.weightsName]
    }
    for (name, loss) in losses.byName { entries[name]?.error = loss.relative }
    var companions = ModelCompanions(source: tuned, files: pair.tuned)
    files += try companions.write(to: folder)
    let manifest = DeltaManifest(
      format: format, base: try pair.base.baseRecord(), config: pair.tuned.config, error: losses.total.relative, entries: entries)
    if format == .fastChat {
      try AtomicFile.write(pair.tuned.config.text(.pretty) + "\n", to: folder.appending(path: "config.json"))
      files.append("config.json")
    }
    try manifest.write(to: folder)
    return Report(
      summary: try DeltaSummary(folder), files: files + [DeltaManifest.fileName], notes: companions.notes)
  }

  private func validate() throws(RecipeError) {
    guard density > 0, density <= 1 else { throw RecipeError("the density must be above 0 and at most 1, not \(density)") }
    guard rank > 0 else { throw RecipeError("the rank must be at least 1, not \(rank)") }
  }

  // MARK: What each tensor is kept as

  private func survey(
    _ pair: ModelPair, progress: (String) throws -> Void
  ) throws -> OrderedDictionary<String, DeltaManifest.Entry> {
    var entries: OrderedDictionary<String, DeltaManifest.Entry> = [:]
    var isChanged = false
    for name in pair.tuned.weights.names {
      try progress("comparing \(name)")
      guard let info = pair.tuned.weights.info(name), let dtype = info.dtype else {
        throw RecipeError("\(pair.tuned.path): tensor “\(name)” has a type that cannot be read")
      }
      var entry = DeltaManifest.Entry(encoding: .whole, shape: info.shape, dtype: dtype)
      if pair.isInBase(name) {
        let (tuned, base) = try pair.tensors(name)
        entry.baseCRC = try base.withUnsafeBytes(CRC32.of)
        let isSame = try tuned.hasBytes(of: base)
        isChanged = isChanged || !isSame
        entry.encoding = encoding(info.shape, dtype, isSame: isSame)
        if entry.encoding.rounds { try refuseNaN(tuned, base, name, pair) }
      }
      if format == .fastChat, entry.baseCRC == nil {
        throw RecipeError(
          "\(pair.base.path) has no “\(name)” of this shape, and FastChat's form knows differences alone; use dense")
      }
      isChanged = isChanged || entry.baseCRC == nil
      entries[name] = entry
    }
    guard isChanged else {
      throw RecipeError("\(pair.tuned.path) holds the same numbers as \(pair.base.path): there is no delta")
    }
    return entries
  }

  private func encoding(_ shape: [Int], _ dtype: DType, isSame: Bool) -> DeltaEncoding {
    // FastChat adds what it finds, so that all of it has to be there.
    if format == .fastChat { return dtype.isFloatingPoint ? .sum : .whole }
    if isSame { return .same }
    guard shape.count > 1, dtype.isFloatingPoint else { return .bits }
    let (count, columns) = (shape.reduce(1, *), shape[shape.count - 1])
    switch format {
    case .dense, .fastChat: return .bits
    case .sparse: return .sparse
    case .int8: return .int8
    case .lowRank: return rank * (columns + count / max(1, columns)) < count ? .lowRank : .bits
    }
  }

  private func refuseNaN(_ tuned: Tensor, _ base: Tensor, _ name: String, _ pair: ModelPair) throws {
    for (tensor, path) in [(tuned, pair.tuned.path), (base, pair.base.path)] where tensor.dtype.isFloatingPoint {
      guard try tensor.isFinite().all() else {
        throw RecipeError("\(path): “\(name)” holds numbers that are not finite, which only the dense form can keep")
      }
    }
  }

  private func codec(_ entry: DeltaManifest.Entry) -> DeltaCodec {
    let count = entry.shape.reduce(1, *)
    return DeltaCodec(
      encoding: entry.encoding, kept: min(count, Int((density * Double(count)).rounded(.up))), rank: rank, dtype: entry.dtype,
      shape: entry.shape)
  }
}
