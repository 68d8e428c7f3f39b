import Checkpoints
import Datasets
import Foundation
import OrderedCollections
import TestSupport
import Testing
import Text

@testable import Recipes

/// The data of a run out of the cache are those that encoding anew gives.
@Suite struct RunDataTests {
  let folder: TemporaryFolder
  let model: URL

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder)
    try write(40)
  }

  private func write(_ count: Int, to name: String = "train.jsonl", answer: String = "and") throws {
    let rows = (0..<count).map { number in
      #"{"messages": [{"role": "user", "content": "the sea \#(number)"}, {"role": "assistant", "content": "\#(answer) \#(number)"}]}"#
    }
    try folder.write(rows.joined(separator: "\n") + "\n", to: name)
  }

  private func data(_ settings: String..., model: URL? = nil) throws -> RunData {
    let recipe = try Recipe(
      "model: \((model ?? self.model).path)\ndata: { train: \(folder.path("train.jsonl")) }\noutput: \(folder.path("run"))",
      overrides: settings)
    return try TuneRun(recipe, store: ModelStore(folder: folder.url.appending(path: "store"))).encode()
  }

  private func isUsed(_ data: RunData) -> Bool { if case .used = data.cacheUse { true } else { false } }
  private func isWritten(_ data: RunData) -> Bool { if case .written = data.cacheUse { true } else { false } }

  private func expectEqual(_ one: RunData, _ other: RunData) {
    #expect(one.training.samples == other.training.samples && one.training.weights == other.training.weights)
    #expect(one.training.report == other.training.report)
    #expect(one.evaluation?.samples == other.evaluation?.samples && one.evaluation?.report == other.evaluation?.report)
  }

  @Test(arguments: [[], ["data.eval_split=0.2"], ["data.max_length=8", "data.mask=completion"], ["data.mask=all"]])
  func theSecondRunFindsTheTokensOfTheFirst(_ settings: [String]) throws {
    func run(_ more: String...) throws -> RunData {
      let recipe = try Recipe(
        "model: \(model.path)\ndata: { train: \(folder.path("train.jsonl")) }\noutput: \(folder.path("run"))",
        overrides: settings + more)
      return try TuneRun(recipe, store: ModelStore(folder: folder.url.appending(path: "store"))).encode()
    }
    let first = try run()
    let second = try run()
    let fresh = try run("data.cache=false")
    #expect(isWritten(first) && isUsed(second) && fresh.cacheUse == .off)
    #expect(!fresh.training.samples.isEmpty && (fresh.evaluation != nil) == settings.contains("data.eval_split=0.2"))
    expectEqual(second, fresh)
    expectEqual(first, fresh)
  }

  /// Whatever the tokens depend on makes them anew.
  @Test func changesAreSeen() throws {
    #expect(isWritten(try data()))
    #expect(isUsed(try data()))
    for setting in [
      "data.max_length=9", "data.mask=all", "data.truncation=drop", "data.append_eos=false", "data.strict=true",
      "data.eval_split=0.3", "data.format=messages",
    ] {
      #expect(isWritten(try data(setting)), "\(setting)")
      #expect(isUsed(try data(setting)), "\(setting)")
    }
    // The seed counts where a split is drawn from it, and nowhere else.
    #expect(isUsed(try data("train.seed=5")))
    #expect(isWritten(try data("data.eval_split=0.3", "train.seed=5")))
    // What only concerns batches does not count.
    #expect(isUsed(try data("train.batch_size=3", "data.packing=true", "data.shuffle=false")))
    try write(40, answer: "or")
    let changed = try data()
    #expect(isWritten(changed))
    expectEqual(try data(), try data("data.cache=false"))
    try write(41, answer: "or")
    #expect(isWritten(try data()))
  }

  @Test func anotherTokenizerOrTemplateIsSeen() throws {
    #expect(isWritten(try data()))
    let template = model.appending(path: "chat_template.jinja")
    let source = try String(contentsOf: template, encoding: .utf8)
    try Data((source + " ").utf8).write(to: template)
    #expect(isWritten(try data()))
    let tokenizer = model.appending(path: "tokenizer.json")
    try Data((String(contentsOf: tokenizer, encoding: .utf8) + "\n").utf8).write(to: tokenizer)
    #expect(isWritten(try data()))
    #expect(isUsed(try data()))
  }

  @Test func aGGUFVocabularyIsAKey() throws {
    let files = try TokenizerFiles(Goldens.url("gguf/llama-tied-q8_0.gguf"))
    func key(_ files: TokenizerFiles, day: String = "today") throws -> CacheKey {
      var builder = CacheKey.Builder("test")
      #expect(try builder.add(files, day: day))
      return builder.key
    }
    #expect(try key(files) == key(TokenizerFiles(Goldens.url("gguf/llama-tied-q8_0.gguf")), day: "tomorrow"))
    #expect(try key(files) != key(TokenizerFiles(model)))
  }

  /// Templates that name the day are cached for the day; those that tell the time are not cached.
  @Test func theDateCountsWhereATemplateShowsIt() throws {
    let template = model.appending(path: "chat_template.jinja")
    let source = try String(contentsOf: template, encoding: .utf8)
    try Data(("{% set day = strftime_now('%d %b %Y') %}" + source).utf8).write(to: template)
    #expect(isWritten(try data()))
    #expect(isUsed(try data()))
    func key(_ day: String) throws -> CacheKey {
      var builder = CacheKey.Builder("test")
      _ = try builder.add(TokenizerFiles(model), day: day)
      return builder.key
    }
    #expect(try key("2026-1-1") != key("2026-1-2"))
    try Data(("{% set now = strftime_now('%H:%M') %}" + source).utf8).write(to: template)
    for _ in 0..<2 {
      guard case .notKept(let reason) = try data().cacheUse else {
        Issue.record("kept")
        return
      }
      #expect(reason.contains("time of day"))
    }
  }

  /// A cache that cannot be read or written changes nothing but the note.
  @Test func aBrokenCacheStopsNothing() throws {
    let first = try data()
    guard case .written(let path) = first.cacheUse else {
      Issue.record("not written")
      return
    }
    let whole = try Data(contentsOf: URL(filePath: path))
    var random = SplitMix64(seed: 4)
    for _ in 0..<12 {
      var bad = whole
      let place = Int.random(in: 0..<whole.count, using: &random)
      if Bool.random(using: &random) { bad[place] ^= 1 } else { bad = bad.prefix(place) }
      try bad.write(to: URL(filePath: path))
      let again = try data()
      #expect(isWritten(again))
      expectEqual(again, first)
    }
    #expect(isUsed(try data()))
    // A file stands where the folder should.
    try FileManager.default.removeItem(at: folder.url.appending(path: "store"))
    try folder.write("in the way", to: "store")
    let without = try data()
    guard case .notKept = without.cacheUse else {
      Issue.record("kept")
      return
    }
    expectEqual(without, first)
  }

  /// Bad rows are refused each time; nothing of them is kept.
  @Test func badDataAreNotKept() throws {
    try folder.write("{\"messages\": 3}\n", to: "train.jsonl")
    for _ in 0..<2 { #expect(throws: BadRows.self) { try data() } }
    #expect(!FileManager.default.fileExists(atPath: folder.path("store/cache/tokens")))
  }
}
