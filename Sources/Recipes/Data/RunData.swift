import Checkpoints
import Datasets
import Foundation
import Text

/// The data of a run as tokens, and where they came from.
public struct RunData: Sendable {
  /// What the cache did.
  public enum CacheUse: Sendable, Hashable {
    /// It is switched off.
    case off
    /// The tokens are those of an earlier run; nothing was encoded.
    case used(path: String)
    /// The tokens were made anew and kept for the next run.
    case written(path: String)
    /// The tokens were made anew and not kept, for this reason.
    case notKept(reason: String)

    /// What is said to people; nil where there is nothing to say.
    public var note: String? {
      switch self {
      case .off: nil
      case .used(let path): "tokens: from the cache, \(path)"
      case .written(let path): "tokens: made anew and kept in the cache, \(path)"
      case .notKept(let reason): "tokens: made anew and not kept in the cache, since \(reason)"
      }
    }
  }

  /// What is trained on.
  public internal(set) var training: EncodedDataset
  /// What is measured on; nil for nothing.
  public internal(set) var evaluation: EncodedDataset?
  /// What the cache did.
  public let cacheUse: CacheUse
  /// Where what the objective measures against came from, in words; nil where there is no such thing.
  public internal(set) var referenceNote: String?
  /// The prompts, where the model itself answers them: they are what is trained on, then.
  public var prompts: EncodedPrompts?

  /// What encoding did to the data, and what the cache did, in words.
  public var notes: [String] {
    ["training data: \(training.report)"] + (evaluation.map { ["evaluation data: \($0.report)"] } ?? [])
      + [cacheUse.note, referenceNote].compactMap(\.self)
  }
}

/// Makes the tokens of a run out of its files, or takes them from the cache where the same was done before.
struct RunEncoder {
  let recipe: DataRecipe
  /// What an evaluation split is drawn from.
  let seed: UInt64
  let text: TextSide
  /// What the tokenizer and its templates were read from.
  let files: TokenizerFiles
  let stopTokens: Set<Int32>
  let cache: TokenCache
  /// Whether prompts alone are taken, of which rewards see every column.
  var takesPrompts = false

  private var settings: EncodingSettings {
    var settings = recipe.encoding
    settings.stopTokens = stopTokens
    return settings
  }

  /// The data.
  ///
  /// - Throws: `DatasetError`, `BadRows` or `EncodingRefusal` where the data cannot be used. The cache never makes a run fail.
  func run() throws -> RunData {
    guard !takesPrompts else { return try encodedPrompts() }
    guard recipe.usesCache else { return try encoded(.off) }
    let day = TemplateDate.day(of: Date())
    var builder = CacheKey.Builder("data of a run")
    let isLasting = try add(to: &builder, day: day)
    guard isLasting else { return try encoded(.notKept(reason: "the chat template shows the time of day")) }
    let key = builder.key
    if let known = cache.load(key), let training = known.first, known.count == (hasEvaluation ? 2 : 1) {
      return RunData(
        training: training, evaluation: hasEvaluation ? known[1] : nil, cacheUse: .used(path: cache.file(of: key).path))
    }
    let made = try encoded(.off)
    return RunData(training: made.training, evaluation: made.evaluation, cacheUse: keep(made, key, builder.stamps, day: day))
  }

  private var hasEvaluation: Bool { !recipe.eval.isEmpty || recipe.evalSplit != nil }

  /// Adds all that the tokens depend on. False where they depend on more.
  private func add(to builder: inout CacheKey.Builder, day: String) throws -> Bool {
    try builder.add("settings", settings)
    try builder.add("train", recipe.train)
    try builder.add("eval", recipe.eval)
    try builder.add("split", json: [recipe.evalSplit])
    builder.add("seed", recipe.evalSplit == nil ? [] : [String(seed)])
    builder.add("strict", recipe.isStrict ? 1 : 0)
    return try builder.add(files, day: day)
  }

  private func keep(_ data: RunData, _ key: CacheKey, _ stamps: FileStamps, day: String) -> RunData.CacheUse {
    guard stamps.areCurrent else { return .notKept(reason: "a data file changed meanwhile") }
    // A template that names the day may have seen another one than the key has.
    guard TemplateDate.day(of: Date()) == day else { return .notKept(reason: "a new day began meanwhile") }
    do {
      try cache.store([data.training] + (data.evaluation.map { [$0] } ?? []), under: key)
      return .written(path: cache.file(of: key).path)
    } catch {
      return .notKept(reason: "\(error)")
    }
  }

  private func encodedPrompts() throws -> RunData {
    let prompts = try Dataset.load(recipe.train, keepsColumns: true)
    let encoder = try SampleEncoder(
      tokenizer: text.tokenizer, renderer: try text.template(hasTools: prompts.samples.contains { $0.tools != nil }),
      settings: settings)
    let encoded = try prompts.encodedPrompts(with: encoder)
    return RunData(training: encoded.dataset, evaluation: nil, cacheUse: .off, prompts: encoded)
  }

  private func encoded(_ use: RunData.CacheUse) throws -> RunData {
    var training = try Dataset.load(recipe.train)
    var evaluation = recipe.eval.isEmpty ? nil : try Dataset.load(recipe.eval)
    if let share = recipe.evalSplit {
      let parts = try training.split(evalShare: share, seed: seed)
      (training, evaluation) = (parts.train, parts.eval)
    }
    let hasTools = training.samples.contains { $0.tools != nil }
    let encoder = try SampleEncoder(
      tokenizer: text.tokenizer, renderer: try text.template(hasTools: hasTools), settings: settings)
    return RunData(
      training: try training.encoded(with: encoder, strict: recipe.isStrict),
      evaluation: try evaluation?.encoded(with: encoder, strict: recipe.isStrict), cacheUse: use)
  }
}
