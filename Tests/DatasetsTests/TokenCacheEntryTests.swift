import Foundation
import Testing
import Text

@testable import Datasets

@Suite struct TokenCacheEntryTests {
  private let key = CacheKey(digest: Array(0..<32))

  private func random(_ seed: UInt64, idLimit: Int = 49_152, count: Int = 40) -> EncodedDataset {
    var random = SplitMix64(seed: seed)
    let samples = (0..<count).map { index in
      let length = 1 + random.below(50)
      return EncodedSample(
        ids: (0..<length).map { _ in Int32(random.below(idLimit)) }, trained: (0..<length).map { _ in random.below(3) > 0 },
        location: SourceLocation(file: "data/\(random.below(3)) é.jsonl", line: 1 + random.below(1 << 40)), index: index,
        source: random.below(2), rank: random.below(3))
    }
    var report = EncodingReport()
    (report.samples, report.encoded, report.tokens) = (count + 2, count, 123_456)
    report.long.add(.chat("“quoted” \u{0}\n", "é😀"))
    return EncodedDataset(samples: samples, weights: [1, 0.1], report: report)
  }

  private func bytes(_ datasets: [EncodedDataset]) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try withoutActuallyEscaping({ (piece: UnsafeRawBufferPointer) in bytes.append(contentsOf: piece) }) {
      try EncodedDatasetEntry.write(datasets, key: key, to: $0)
    }
    return bytes
  }

  private func read(_ bytes: [UInt8], _ key: CacheKey? = nil) -> [EncodedDataset]? {
    bytes.withUnsafeBytes { EncodedDatasetEntry.read($0, key: key ?? self.key) }
  }

  private func expectEqual(_ one: [EncodedDataset]?, _ other: [EncodedDataset]) {
    #expect(one?.map(\.samples) == other.map(\.samples))
    #expect(one?.map(\.weights) == other.map(\.weights))
    #expect(one?.map(\.report) == other.map(\.report))
  }

  @Test func whatWasWrittenIsRead() throws {
    for seed in 0..<20 as Range<UInt64> {
      let datasets = [random(seed), random(seed + 100, idLimit: 1 << 30), EncodedDataset(samples: [], weights: [])]
      expectEqual(read(try bytes(datasets)), datasets)
    }
    expectEqual(read(try bytes([])), [])
  }

  /// Ids that fit into two bytes take two bytes.
  @Test func smallIdsAreStoredSmall() throws {
    let (narrow, wide) = (random(5, idLimit: 65_536), random(5, idLimit: 65_536))
    var changed = wide
    changed.samples[0].ids[0] = 65_536
    let tokens = narrow.samples.reduce(0) { $0 + $1.ids.count }
    #expect(try bytes([changed]).count - bytes([narrow]).count == 2 * tokens)
    expectEqual(read(try bytes([changed])), [changed])
  }

  @Test func anotherKeyFindsNothing() throws {
    #expect(read(try bytes([random(1)]), CacheKey(digest: Array(1..<33))) == nil)
  }

  /// Whatever is changed or cut, nothing is read, and nothing crashes.
  @Test func damageIsFoundOut() throws {
    let whole = try bytes([random(3), random(4)])
    var random = SplitMix64(seed: 8)
    for _ in 0..<300 {
      var damaged = whole
      switch random.below(4) {
      case 0: damaged[random.below(whole.count)] ^= UInt8(1 << random.below(8))
      case 1: damaged.removeSubrange(random.below(whole.count)...)
      case 2: damaged.insert(UInt8(random.below(256)), at: random.below(whole.count + 1))
      default: damaged.append(contentsOf: whole)
      }
      #expect(read(damaged) == nil)
    }
    for count in 0..<120 { #expect(read(Array(whole.prefix(count))) == nil) }
    #expect(read([]) == nil)
  }

  /// Bytes whose check value is right but whose contents are not: nothing reaches beyond the entry.
  @Test func contentsThatLieAreReadSafely() throws {
    let whole = try bytes([random(6, count: 8)])
    var random = SplitMix64(seed: 9)
    var refused = 0
    for _ in 0..<600 {
      var forged = Array(whole.dropLast(SHA256.digestSize))
      for _ in 0...random.below(3) {
        let place = 40 + random.below(forged.count - 40)
        switch random.below(3) {
        case 0: forged[place] = UInt8(random.below(256))
        case 1: for index in place..<min(place + 8, forged.count) { forged[index] = 0xFF }
        default: forged.removeSubrange(place..<min(place + 1 + random.below(9), forged.count))
        }
      }
      forged += forged.withUnsafeBytes { BlockDigest.of($0) }
      guard let datasets = read(forged) else {
        refused += 1
        continue
      }
      for dataset in datasets {
        #expect(dataset.samples.allSatisfy { $0.ids.count == $0.trained.count && dataset.weights.indices.contains($0.source) })
      }
    }
    #expect(refused > 100)
  }
}

@Suite struct CacheKeyTests {
  private func key(_ change: (inout CacheKey.Builder) throws -> Void) throws -> CacheKey {
    var builder = CacheKey.Builder("test")
    try change(&builder)
    return builder.key
  }

  @Test func everyPartCounts() throws {
    let scratch = try Scratch()
    let path = try scratch.file("a.jsonl", "{\"text\": \"a\"}\n")
    let other = try scratch.file("b.jsonl", "{\"text\": \"a\"}\n")
    let changed = try scratch.file("c.jsonl", "{\"text\": \"b\"}\n")
    func sources(_ list: DataSource...) throws -> CacheKey { try key { try $0.add("train", list) } }
    func settings(_ settings: EncodingSettings) throws -> CacheKey { try key { try $0.add("settings", settings) } }
    let keys = [
      try key { _ in }, try key { $0.add("a", "b") }, try key { $0.add("ab", "") }, try key { $0.add("a", ["b"]) },
      try key { $0.add("a", ["b", ""]) }, try key { $0.add("a", contents: Array("b".utf8)) }, try key { $0.add("a", 1) },
      try sources(DataSource(path: path)), try sources(DataSource(path: other)), try sources(DataSource(path: changed)),
      try sources(DataSource(path: path, weight: 2)), try sources(DataSource(path: path, format: "text")),
      try sources(DataSource(path: path), DataSource(path: other)), try sources(DataSource(path: other), DataSource(path: path)),
      try settings(EncodingSettings()), try settings(EncodingSettings(mask: .all)), try settings(EncodingSettings(maxLength: 9)),
      try settings(EncodingSettings(truncation: .drop)), try settings(EncodingSettings(appendsEndOfText: false)),
      try settings(EncodingSettings(stopTokens: [])), try settings(EncodingSettings(stopTokens: [1, 2])),
      CacheKey.Builder("test", codeVersion: CacheKey.codeVersion + 1).key, CacheKey.Builder("other").key,
    ]
    #expect(Set(keys).count == keys.count)
    #expect(keys.allSatisfy { $0.name.count == 64 })
    #expect(try sources(DataSource(path: path)) == sources(DataSource(path: path)))
    let many = Set((0..<40).map { Int32($0 * 7919) })
    #expect(
      try settings(EncodingSettings(stopTokens: many)) == settings(EncodingSettings(stopTokens: Set(many.sorted().reversed()))))
  }

  @Test func aFileOfAFolderCounts() throws {
    let scratch = try Scratch()
    _ = try scratch.file("a.jsonl", "{\"text\": \"a\"}\n")
    let before = try key { try $0.add("train", [DataSource(path: scratch.path)]) }
    _ = try scratch.file("b.jsonl", "{\"text\": \"b\"}\n")
    #expect(try key { try $0.add("train", [DataSource(path: scratch.path)]) } != before)
    #expect(
      complaint { _ = try key { try $0.add("train", [DataSource(path: scratch.path + "/none.jsonl")]) } }.contains("no file"))
  }

  @Test func aChangedFileIsSeen() throws {
    let scratch = try Scratch()
    let path = try scratch.file("a.jsonl", "{\"text\": \"a\"}\n")
    var builder = CacheKey.Builder("test")
    try builder.add("train", [DataSource(path: path)])
    #expect(builder.stamps.areCurrent)
    _ = try scratch.file("a.jsonl", "{\"text\": \"b\"}\n")
    #expect(!builder.stamps.areCurrent)
  }

  /// Ids and masks of conversations through six tokenizers, as they were when the version was last raised. Where this fails and the
  /// new tokens are right, raise `CacheKey.codeVersion` with the digest: old entries hold the old tokens.
  @Test func tokensOfThisVersionAreThoseOfItsEntries() throws {
    var builder = CacheKey.Builder("pinned")
    for family in ["smollm2", "qwen2", "llama3", "llama2", "gemma", "mistral"] {
      let expected = try #require(golden("family-masks.json")[family])
      let tokenizer = try BPETokenizer(tokenizerJSON: goldenBytes("tokenizers/\(family)/tokenizer.json"))
      let renderer = ChatML(closing: try #require(expected["closing"]?.string))
      let samples = try #require(expected["cases"]?.array).map { item in
        let messages = (item["messages"]?.array ?? []).map {
          Message(role: $0["role"]?.string ?? "", content: $0["content"]?.string)
        }
        return Sample(.conversation(messages), location: nowhere)
      }
      let encoder = try SampleEncoder(tokenizer: tokenizer, renderer: renderer, settings: EncodingSettings(maxLength: 512))
      let encoded = try Dataset(samples).encoded(with: encoder)
      var bytes: [UInt8] = []
      try withoutActuallyEscaping({ (piece: UnsafeRawBufferPointer) in bytes.append(contentsOf: piece) }) {
        try EncodedDatasetEntry.write([EncodedDataset(samples: encoded.samples)], key: CacheKey(digest: Array(0..<32)), to: $0)
      }
      builder.add(family, bytes)
    }
    #expect(CacheKey.codeVersion == 4)
    #expect(builder.key.name == "fa0489f10a137ef50801bcf45190991157e377dd138a4206118e696d67fea531")
  }
}
