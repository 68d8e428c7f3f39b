import Datasets
import Foundation
import TestSupport
import Testing

@testable import Recipes

/// The folder of entries: what is kept, what is thrown out, and that damage is as good as absence.
@Suite struct TokenCacheTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func dataset(_ number: Int) -> EncodedDataset {
    let samples = (0..<20).map { index in
      EncodedSample(
        ids: (0..<30).map { Int32($0 * number) }, trained: (0..<30).map { $0 > index },
        location: SourceLocation(file: "a.jsonl", line: index + 1), index: index)
    }
    return EncodedDataset(samples: samples)
  }

  private func key(_ number: Int) -> CacheKey {
    var builder = CacheKey.Builder("test")
    builder.add("number", number)
    return builder.key
  }

  private func entries(_ cache: TokenCache) -> Set<String> {
    Set((try? FileManager.default.contentsOfDirectory(atPath: cache.folder.path)) ?? [])
  }

  @Test func whatIsStoredIsLoaded() throws {
    let cache = TokenCache(folder: folder.url.appending(path: "deep/cache"))
    #expect(cache.load(key(1)) == nil)
    try cache.store([dataset(1), dataset(2)], under: key(1))
    #expect(cache.load(key(1))?.map(\.samples) == [dataset(1).samples, dataset(2).samples])
    #expect(cache.load(key(2)) == nil)
    #expect(entries(cache) == [key(1).name + ".tokens"])
  }

  @Test func damagedAndForeignFilesAreReplaced() throws {
    let cache = TokenCache(folder: folder.url)
    try cache.store([dataset(1)], under: key(1))
    let file = cache.file(of: key(1))
    let whole = try Data(contentsOf: file)
    var flipped = whole
    flipped[whole.count / 2] ^= 4
    try cache.store([dataset(3)], under: key(3))
    let foreign = try Data(contentsOf: cache.file(of: key(3)))
    for bad in [Data(), whole.prefix(100), whole.dropLast(), flipped, foreign, Data("not an entry".utf8)] {
      try bad.write(to: file)
      #expect(cache.load(key(1)) == nil)
      try cache.store([dataset(1)], under: key(1))
      #expect(cache.load(key(1))?.first?.samples == dataset(1).samples)
    }
    // A folder of that name is no entry either.
    try FileManager.default.removeItem(at: file)
    try FileManager.default.createDirectory(at: file, withIntermediateDirectories: true)
    #expect(cache.load(key(1)) == nil)
  }

  /// Room for three: the one used longest ago goes, and reading counts as use.
  @Test func theEntryUsedLongestAgoGoes() throws {
    let probe = TokenCache(folder: folder.url.appending(path: "probe"))
    try probe.store([dataset(0)], under: key(0))
    let size = try Data(contentsOf: probe.file(of: key(0))).count
    let cache = TokenCache(folder: folder.url.appending(path: "cache"), byteLimit: 3 * size + size / 2)
    for number in 1...3 {
      try cache.store([dataset(number)], under: key(number))
      let used = Date(timeIntervalSinceNow: Double(number) * 10 - 1000)
      try FileManager.default.setAttributes([.modificationDate: used], ofItemAtPath: cache.file(of: key(number)).path)
    }
    #expect(cache.load(key(1)) != nil)
    try cache.store([dataset(4)], under: key(4))
    #expect([1, 2, 3, 4].filter { cache.load(key($0)) != nil } == [1, 3, 4])
    // Files that are no entries stay, and do not count.
    try folder.write("note", to: "cache/note.txt")
    try cache.store([dataset(5)], under: key(5))
    #expect(entries(cache).contains("note.txt") && entries(cache).count == 4)
    // An entry that is too large by itself is not kept.
    let small = TokenCache(folder: folder.url.appending(path: "small"), byteLimit: size - 1)
    try small.store([dataset(1)], under: key(1))
    #expect(entries(small).isEmpty)
  }
}
