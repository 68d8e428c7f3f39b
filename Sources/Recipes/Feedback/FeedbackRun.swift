import Checkpoints
import Datasets
import Foundation
import Judging
import Objectives
import Preferences
import Text
import Training
import Tuners

/// What a feedback run tells whoever watches it.
public enum FeedbackEvent: Sendable {
  /// Something begins, or is done.
  case stage(String)
  /// How far a stage has come.
  case progress(Int, of: Int, String)
  /// What the tuning of a round does.
  case tuning(TrainingEvent)
}

/// What a feedback run came to.
public struct FeedbackResult: Sendable {
  /// Each round.
  public let rounds: [RoundFigures]
  /// The adapter of the last round.
  public let adapter: URL
}

/// Rounds of answering, judging and tuning.
///
/// Everything of a round stays in `rounds/N` of the run's folder. Answers, revisions and verdicts are on disk as they come, and the
/// tuning has checkpoints: a run that ended anywhere goes on from there, to the same result.
public final class FeedbackRun {
  /// The recipe.
  public let recipe: Recipe
  /// Whether adapters to start from may be another base's.
  public var anyBase = false
  private let settings: FeedbackSettings
  private let store: ModelStore
  private let folder: RunFolder
  private static let record = "metrics.jsonl"

  /// A run of `recipe`; nil where its objective is another one.
  public init?(_ recipe: Recipe, store: ModelStore = .standard) {
    guard let settings = recipe.objective.feedback else { return nil }
    (self.recipe, self.settings, self.store) = (recipe, settings, store)
    folder = RunFolder(recipe.output)
  }

  /// The run's folder.
  public var output: URL { folder.url }
  /// Where the last round's adapter is written at the end.
  public var resultFolder: URL { output.appending(path: "adapter") }

  /// Checks paths and settings before anything is loaded.
  ///
  /// - Throws: ``RecipeError`` that names key and path.
  public func check(resuming: Bool, overwriting: Bool) throws {
    guard recipe.method.settings.files != .model || recipe.method.initFrom != nil else {
      throw RecipeError(
        "method.type \(recipe.method.settings.name) leaves a model each round, and rlaif goes on from adapters: choose one")
    }
    if !settings.learnsRevisions, case .local(let name, let adapters) = settings.judge.source {
      do { _ = try store.resolve(name) } catch { throw RecipeError("objective.judge.model: \(error)") }
      for adapter in adapters { _ = try ModelWeights.adapterFolder(adapter.folder) }
    }
    try TuneRun(recipe, store: store).check(resuming: resuming, overwriting: overwriting)
  }

  /// Goes round.
  ///
  /// - Parameters:
  ///   - resuming: go on with the run in the folder.
  ///   - shouldStop: asked between pieces of work.
  ///   - observe: told what happens.
  /// - Throws: ``FeedbackStopped`` or `TrainingInterrupted` when asked to stop; ``RecipeError`` where the judge is of no use; an
  ///   error of the part that failed. What was done is on disk.
  public func run(
    resuming: Bool = false, shouldStop: @escaping () -> Bool = { false }, observe: @escaping (FeedbackEvent) -> Void = { _ in }
  ) throws -> FeedbackResult {
    let prompts = try FeedbackPrompt.all(in: recipe.data.train)
    try folder.prepare(recipe: recipe.yaml, resuming: resuming)
    if !resuming { try AtomicFile.write("", to: output.appending(path: Self.record)) }
    var adapter = try recipe.method.initFrom.map { try ModelWeights.adapterFolder($0) }
    var done: [RoundFigures] = []
    for number in 1...settings.rounds {
      let round = FeedbackRound(number, in: output)
      if let figures = try round.figures() {
        observe(.stage("round \(number): done before"))
        done.append(figures)
      } else {
        let work = RoundWork(
          round: round, recipe: recipe, settings: settings, store: store, start: adapter, anyBase: anyBase,
          shouldStop: shouldStop, observe: observe)
        done.append(try work.run(part(of: prompts, number)))
        let encoder = JSONEncoder()
        (encoder.outputFormatting, encoder.keyEncodingStrategy) = (.sortedKeys, .convertToSnakeCase)
        let lines = try done.map { String(decoding: try encoder.encode($0), as: UTF8.self) + "\n" }
        try AtomicFile.write(lines.joined(), to: output.appending(path: Self.record))
      }
      adapter = round.adapter
    }
    if let adapter { try copy(adapter) }
    try AtomicFile.write(
      FeedbackReport(recipe: recipe, rounds: done, output: output).html, to: output.appending(path: "report.html"))
    return FeedbackResult(rounds: done, adapter: resultFolder)
  }

  /// The prompts of a round.
  private func part(of prompts: [FeedbackPrompt], _ number: Int) -> [FeedbackPrompt] {
    guard let size = settings.promptsPerRound, size < prompts.count else { return prompts }
    let start = (number - 1) * size
    return (start..<start + size).map { prompts[$0 % prompts.count] }
  }

  private func copy(_ adapter: URL) throws {
    let manager = FileManager.default
    try AtomicFolder.write(to: resultFolder) { draft in
      for name in try manager.contentsOfDirectory(atPath: adapter.path) where name != FolderManifest.fileName {
        try manager.copyItem(at: adapter.appending(path: name), to: draft.appending(path: name))
      }
    }
  }
}
