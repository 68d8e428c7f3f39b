import Datasets
import Foundation
import Objectives

/// Where a run's batches come from: files that were encoded before the run, or what the model itself says in the course of it.
///
/// A source belongs to the thread of its trainer.
public protocol BatchSource: AnyObject {
  /// What is at hand; `Batch.samples` indexes it.
  var samples: [EncodedSample] { get }
  /// The place of what comes next in the data.
  var position: DataLoader.Position { get }
  /// Epochs done, with fractions.
  var epoch: Double { get }
  /// Whether what comes next begins an epoch.
  var isAtEpochEnd: Bool { get }
  /// The batch with the most tokens among those of the first epoch; nil where that is not known before.
  var largestBatch: Batch? { get }
  /// How many optimizer steps there are where each takes `count` batches; nil without an end.
  func stepCount(accumulating count: Int) -> Int?
  /// The batches of the next optimizer step, at most `count`.
  ///
  /// - Parameters:
  ///   - count: batches gathered into a step.
  ///   - shouldStop: asked where making them takes long.
  /// - Returns: none where the data have ended, or where it was asked to stop: it then stands where it stood.
  func nextBatches(_ count: Int, shouldStop: () -> Bool) throws -> [Batch]
  /// What is reported of the making of batches since this was asked last.
  func takeFigures() -> Figures
  /// Writes what beside ``position`` has to be known to go on exactly.
  func save(to folder: URL) throws
  /// Goes to a place that ``position`` gave, with what ``save(to:)`` wrote.
  ///
  /// - Throws: where they are another run's.
  func restore(_ position: DataLoader.Position, from folder: URL) throws
}

extension BatchSource {
  /// Not known.
  public var largestBatch: Batch? { nil }
}

/// The batches of a `DataLoader`.
public final class LoaderBatches: BatchSource {
  private let feed: BatchFeed
  private let loader: DataLoader

  /// The batches from where `loader` stands.
  public init(_ loader: DataLoader) { (self.loader, feed) = (loader, BatchFeed(loader)) }

  /// The loader's.
  public var samples: [EncodedSample] { feed.samples }
  /// That of the batch that comes next.
  public var position: DataLoader.Position { feed.position }
  /// Epochs done, with fractions.
  public var epoch: Double { Double(position.epoch) + Double(position.batch) / Double(max(1, feed.batchesInEpoch)) }
  /// Whether the epoch at hand has no more batches.
  public var isAtEpochEnd: Bool { position.batch == feed.batchesInEpoch }
  /// The loader's.
  public var largestBatch: Batch? { feed.largestBatch }
  /// The loader's.
  public func stepCount(accumulating count: Int) -> Int? { loader.stepCount(accumulating: count) }

  /// The next batches; fewer at the end of an epoch.
  public func nextBatches(_ count: Int, shouldStop: () -> Bool) -> [Batch] {
    var batches: [Batch] = []
    while batches.count < count, let batch = feed.next() {
      batches.append(batch)
      if isAtEpochEnd { break }
    }
    return batches
  }

  /// Nothing.
  public func takeFigures() -> Figures { Figures() }
  /// Nothing: the position says it all.
  public func save(to folder: URL) {}
  /// Goes to the position.
  public func restore(_ position: DataLoader.Position, from folder: URL) throws { try feed.restore(position) }
}
