import Checkpoints
import Datasets
import Foundation

/// A folder of encoded data, so that a run over data that were encoded before need not do it again.
///
/// An entry is a file named by its key, `HEX.tokens` (`EncodedDatasetEntry`). It appears whole or not at all, and is mapped when it
/// is read. An entry that is damaged, or is not what its name says, counts as absent and is replaced. When the entries together have
/// more bytes than allowed, those not used for longest go first.
public struct TokenCache: Sendable {
  /// The bytes that entries may have together where nothing else is said: 4 GiB.
  public static let defaultByteLimit = 4 << 30

  private static let suffix = ".tokens"

  /// The folder that holds the entries.
  public let folder: URL
  /// The most bytes that they may have together.
  public let byteLimit: Int

  /// The cache in `folder`, which is made with the first entry.
  public init(folder: URL, byteLimit: Int = defaultByteLimit) {
    (self.folder, self.byteLimit) = (folder, byteLimit)
  }

  /// Where the entry of a key is, or would be.
  public func file(of key: CacheKey) -> URL { folder.appending(path: key.name + Self.suffix) }

  /// The data sets under a key; nil where there is no entry that is whole. The entry counts as used now.
  public func load(_ key: CacheKey) -> [EncodedDataset]? {
    let url = file(of: key)
    guard FileManager.default.fileExists(atPath: url.path), let file = try? MappedFile(url) else { return nil }
    guard let datasets = withExtendedLifetime(file, { EncodedDatasetEntry.read(file.bytes, key: key) }) else { return nil }
    // Where the time cannot be set the entry is only thrown out sooner.
    try? FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: url.path)
    return datasets
  }

  /// Enters data sets, then throws out what is too much.
  ///
  /// - Throws: `CheckpointError` or what the system says where the folder or the file cannot be written.
  public func store(_ datasets: [EncodedDataset], under key: CacheKey) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try AtomicFile.write(to: file(of: key)) { sink in
      try EncodedDatasetEntry.write(datasets, key: key) { try sink.write($0) }
    }
    evict()
  }

  /// Removes the entries used longest ago until the others keep the limit, and what dead processes left half-written.
  private func evict() {
    TemporaryName.removeStale(in: folder)
    let manager = FileManager.default
    let keys: Set<URLResourceKey> = [.fileSizeKey, .contentModificationDateKey]
    let files = (try? manager.contentsOfDirectory(at: folder, includingPropertiesForKeys: Array(keys))) ?? []
    let entries = files.filter { $0.lastPathComponent.hasSuffix(Self.suffix) }.compactMap { url in
      (try? url.resourceValues(forKeys: keys)).map {
        (url: url, size: $0.fileSize ?? 0, used: $0.contentModificationDate ?? .distantPast)
      }
    }
    var total = 0
    for entry in entries.sorted(by: { $0.used > $1.used }) {
      total += entry.size
      if total > byteLimit { try? manager.removeItem(at: entry.url) }
    }
  }
}

extension ModelStore {
  /// Encoded data of earlier runs: `cache/tokens` in the store's folder.
  public var tokenCache: TokenCache { TokenCache(folder: folder.appending(path: "cache/tokens")) }
}
