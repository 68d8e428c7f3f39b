import Dispatch
import Synchronization

/// The batches of a ``DataLoader``, each made while the one before it is in use.
///
/// Another thread makes the plain arrays of one batch ahead, the plan of the next epoch included; nothing else happens there.
/// ``position`` is that of the batch handed out last, never that of the one in preparation, so that a run which is stopped goes on
/// with the batch it has not seen. What is in preparation when a feed goes away is dropped.
///
/// A feed belongs to one thread.
public final class BatchFeed {
  /// The loader as it stands behind the batch handed out last.
  private var loader: DataLoader
  private var ahead: Preparation?

  /// A feed that goes on where `loader` stands.
  public init(_ loader: DataLoader) {
    self.loader = loader
  }

  /// The place of the batch that comes next.
  public var position: DataLoader.Position { loader.position }
  /// The batch with the most tokens of the epoch at hand.
  public var largestBatch: Batch? { loader.largestBatch }
  /// The samples; ``Batch/samples`` indexes them.
  public var samples: [EncodedSample] { loader.samples }
  /// How many batches the epoch at hand has.
  public var batchesInEpoch: Int { loader.batchesInEpoch }

  /// The next batch; nil after the last epoch. The one after it is begun.
  public func next() -> Batch? {
    let batch: Batch?
    if let ahead = ahead.take() {
      (batch, loader) = ahead.result()
    } else {
      batch = loader.next()
    }
    if batch != nil { ahead = Preparation(loader) }
    return batch
  }

  /// Goes to a saved place, see ``DataLoader/restore(_:)``.
  ///
  /// - Throws: ``DatasetError`` where the position is not one of this data and plan; the feed then stays where it was.
  public func restore(_ position: DataLoader.Position) throws {
    try loader.restore(position)
    ahead = nil
  }
}

/// A batch on its way.
private final class Preparation: Sendable {
  /// The loader, before the batch was taken from it and after.
  private let state: Mutex<(batch: Batch?, loader: DataLoader)>
  private let work = DispatchGroup()

  /// Begins with the batch that comes next in `loader`.
  init(_ loader: DataLoader) {
    state = Mutex((nil, loader))
    DispatchQueue.global(qos: .userInitiated).async(group: work) {
      self.state.withLock { $0.batch = $0.loader.next() }
    }
  }

  /// The batch and the loader behind it, once they are there.
  func result() -> (batch: Batch?, loader: DataLoader) {
    work.wait()
    return state.withLock { $0 }
  }
}
