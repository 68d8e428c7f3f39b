import Checkpoints
import Foundation
import Models
import NN
import OrderedCollections
import Text
import Torch
import Tuners

/// Makes a LoRA adapter of the difference of two whole models: of each projection's change the best approximation of a rank.
///
/// Tensors pass one by one: memory holds a few times the largest of them.
public struct AdapterExtraction: Sendable {
  /// The rank.
  public var rank: Int
  /// The projections it is made of.
  public var targets: TargetModules

  /// An extraction by its settings.
  public init(rank: Int, targets: TargetModules = .allLinear) { (self.rank, self.targets) = (rank, targets) }

  /// What came of it. An error is ‖Δ − s·B·A‖ / ‖Δ‖ in the Frobenius norm, Δ the difference of the models.
  public struct Report: Sendable {
    /// One projection.
    public struct Module: Sendable, Hashable {
      /// Its path.
      public let path: String
      /// The rank of its factors.
      public let rank: Int
      /// ‖Δ‖.
      public let norm: Double
      /// The error.
      public let error: Double
    }

    /// The projections that the adapter changes.
    public let modules: [Module]
    /// The error over those together.
    public let error: Double
    /// The error over all that both models have: what no projection covers is lost whole.
    public let wholeError: Double
    /// Tensors that differ and are not covered, as norms, embeddings and biases: their names and ‖Δ‖, largest first; an infinite
    /// one stands for a tensor that only one model has, or in another shape.
    public let uncovered: [(name: String, norm: Double)]
  }

  /// Writes the adapter that makes `base` most like `tuned`.
  ///
  /// - Parameters:
  ///   - base: the model that the adapter is for.
  ///   - tuned: the model that it stands for.
  ///   - name: `base_model_name_or_path`.
  ///   - folder: where the adapter goes.
  ///   - replacing: write into a folder that holds files.
  ///   - progress: told each projection before its turn.
  /// - Throws: ``RecipeError`` where the models do not differ or hold numbers that are not finite; `TunerError` where the targets
  ///   match nothing; what reading and writing throw.
  public func extract(
    base: URL, tuned: URL, named name: String, to folder: URL, replacing: Bool = false,
    progress: (String) throws -> Void = { _ in }
  ) throws -> Report {
    guard rank > 0 else { throw RecipeError("the rank must be at least 1, not \(rank)") }
    try OutputFolder(url: folder).check(inputs: [base, tuned], replacing: replacing, for: "the adapter")
    let (base, tuned) = (try ModelFiles(base), try ModelFiles(tuned))
    let configuration = ModelConfiguration(base.config, path: base.path)
    let places = try ModelLoader.skeleton(configuration).projections()
    let wanted = try TargetResolver(targets).resolve(places.map(\.path), strict: true)
    var work = Work(base: base, tuned: tuned, rank: rank)
    for (path, slot) in places where wanted.contains(path) {
      try progress(path)
      let name = try ModelLoader.name(of: path + ".weight", in: base.weights, configuration)
      // A tied head has no tensor of its own.
      guard let name else { continue }
      try work.take(name, at: path, isTransposed: slot.value.storesTransposed)
    }
    guard !work.modules.isEmpty else {
      throw RecipeError("\(tuned.path) does not differ from \(base.path) in any of the \(wanted.count) projections asked for")
    }
    try work.countTheRest(progress)
    let adapter = StoredLoRA(
      modules: work.modules, base: name, storesTransposed: places.contains { $0.slot.value.storesTransposed },
      record: AdapterRecord(base: try base.baseRecord()))
    try adapter.write(to: folder)
    return work.report
  }
}

/// Two models on their way into an adapter.
private struct Work {
  let base: ModelFiles
  let tuned: ModelFiles
  let rank: Int
  private(set) var modules: [StoredLoRA.Module] = []
  private var rows: [AdapterExtraction.Report.Module] = []
  private var uncovered: [(name: String, norm: Double)] = []
  private var seen: Set<String> = []
  private var (lost, whole) = (0.0, 0.0)

  init(base: ModelFiles, tuned: ModelFiles, rank: Int) { (self.base, self.tuned, self.rank) = (base, tuned, rank) }

  /// Approximates the change of one projection.
  mutating func take(_ name: String, at path: String, isTransposed: Bool) throws {
    guard let own = tuned.weights.info(name) else {
      throw RecipeError("\(tuned.path) lacks “\(name)”, which \(base.path) has; are these models of one kind?")
    }
    guard let other = base.weights.info(name), own.shape == other.shape, own.shape.count == 2 else {
      throw RecipeError(
        "“\(name)” has shape \(own.shape) in \(tuned.path), and the base's differs; give the base it was tuned from")
    }
    seen.insert(name)
    let change = try change(name)
    let matrix = isTransposed ? try change.transposed().contiguous() : change
    let norm = try Losses.square(matrix).squareRoot()
    guard norm > 0 else { return }
    let low = try LowRankApproximation(matrix, rank: rank, balance: .even)
    modules.append(StoredLoRA.Module(path: path, a: low.a, b: low.b, scale: 1))
    rows.append(.init(path: path, rank: low.a.shape[0], norm: norm, error: low.relativeError))
    lost += low.lostSquare
    whole += low.square
  }

  /// Measures what differs besides.
  mutating func countTheRest(_ progress: (String) throws -> Void) throws {
    for name in Set(base.weights.names).union(tuned.weights.names).sorted() where !seen.contains(name) {
      try progress(name)
      guard let own = tuned.weights.info(name), let other = base.weights.info(name), own.shape == other.shape else {
        uncovered.append((name, .infinity))
        continue
      }
      let norm = try Losses.square(change(name)).squareRoot()
      if norm > 0 { uncovered.append((name, norm)) }
    }
    uncovered.sort { $0.norm > $1.norm }
  }

  private func change(_ name: String) throws -> Tensor {
    let change = try tuned.weights.tensor(name, as: .float32) - base.weights.tensor(name, as: .float32)
    guard try change.isFinite().all() else {
      throw RecipeError("“\(name)” holds numbers that are not finite in \(tuned.path) or in \(base.path); the model is damaged")
    }
    return change
  }

  var report: AdapterExtraction.Report {
    let rest = uncovered.filter { $0.norm.isFinite }.reduce(0) { $0 + $1.norm * $1.norm }
    return .init(
      modules: rows, error: (lost / whole).squareRoot(), wholeError: ((lost + rest) / (whole + rest)).squareRoot(),
      uncovered: uncovered)
  }
}
