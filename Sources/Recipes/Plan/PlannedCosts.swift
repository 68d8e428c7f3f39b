import Foundation
import NN
import Training

extension PlannedTime {
  /// The share of the rate of large products that steps reach: those of the table in docs/performance.md lie on both sides of it.
  private static let usualShare = 0.6

  init?(_ model: ModelOperations, _ work: PlannedWork, _ recipe: Recipe, matmulRate: Double) {
    guard matmulRate > 0 else { return nil }
    let own = model.training(lengths: work.stepLengths, targets: work.stepTargets)
    let checkpointing = recipe.train.options.gradientCheckpointing
    let forward = model.training(lengths: work.stepLengths, targets: 0) / 2
    // What is computed again: the layers, or their feed-forward parts, which hold about two thirds of the weights.
    let repeated =
      switch checkpointing.part {
      case .none: 0.0
      case .selective: 0.66
      case .full: 1.0
      }
    let step = own + forward * repeated / Double(checkpointing.every)
    self.init(
      matmulRate: matmulRate, share: Self.usualShare, operations: step * Double(work.steps ?? 0),
      secondsPerStep: step / (matmulRate * Self.usualShare),
      seconds: step * Double(work.steps ?? 0) / (matmulRate * Self.usualShare))
  }
}

extension PlannedDisk {
  /// Settings, a manifest, the state of a run and of its random numbers.
  private static let ofRecords = 16 << 10
  /// What the cache keeps of a token: its id, and whether it is learnt.
  private static let ofToken = 5

  /// - Parameter modelBytes: of the model as it is written, where that is the result.
  init(_ findings: RunRehearsal.Findings, _ work: PlannedWork, _ recipe: Recipe, modelBytes: Int?) {
    let options = recipe.train.options
    let result = modelBytes ?? findings.tuned
    let checkpoint = findings.tuned + findings.remembered.all + Self.ofRecords
    let made = options.saveEvery.map { (work.steps ?? .max) / $0 } ?? 0
    let kept = min(options.saveLimit, made)
    let evaluates = !recipe.data.eval.isEmpty || recipe.data.evalSplit != nil
    let best = evaluates ? findings.tuned : 0
    let cache = recipe.data.usesCache ? work.tokens * Self.ofToken : 0
    let room = URL(filePath: recipe.output).roomOnDisk
    self.init(
      result: result, checkpoint: checkpoint, checkpointsKept: kept, best: best, paged: findings.remembered.paged, cache: cache,
      total: result + checkpoint * (kept + (kept > 0 ? 1 : 0)) + best + findings.remembered.paged + cache, available: room)
  }
}

extension URL {
  /// What is free where a file at this place would be; nil where the system does not say.
  fileprivate var roomOnDisk: Int? {
    var place = standardizedFileURL
    while !FileManager.default.fileExists(atPath: place.path), place.path != "/" { place.deleteLastPathComponent() }
    let attributes = try? FileManager.default.attributesOfFileSystem(forPath: place.path)
    return (attributes?[.systemFreeSize] as? NSNumber)?.intValue
  }
}
