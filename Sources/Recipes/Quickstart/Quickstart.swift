import Checkpoints
import Datasets
import Evaluation
import Foundation
import Generation
import NN
import Text
import Torch
import Training
import Tuners

/// One way of asking the model, measured.
public struct QuickstartMeasure: Sendable, Codable, Hashable {
  /// What was measured.
  public let name: String
  /// Accuracy with its interval, loss of the right answer, per-class figures.
  public let report: ClassificationReport
  /// Seconds it took.
  public let seconds: Double
}

/// Every figure of a quickstart: what `summary.json` holds.
public struct QuickstartSummary: Sendable, Codable, Hashable {
  /// The model's path.
  public var model: String
  /// Held-out rows each measurement used.
  public var heldOut: Int
  /// Rows tuned on.
  public var trainingSamples: Int
  /// Zero-shot, with examples in the prompt, tuned.
  public var measures: [QuickstartMeasure]
  /// Tuned against zero-shot, row by row; nil where the base was not measured.
  public var comparison: PairedComparison?
  /// Numbers tuned.
  public var trainableParameters: Int
  /// Numbers in all.
  public var totalParameters: Int
  /// Optimizer steps.
  public var steps: Int
  /// Tokens trained on.
  public var tokens: Int
  /// Seconds of training.
  public var trainingSeconds: Double
  /// Tokens a second in training.
  public var tokensPerSecond: Double
  /// Last logged training loss.
  public var trainingLoss: Double?
  /// The most memory held, in bytes.
  public var peakMemoryBytes: Int
  /// The adapter's bytes on disk.
  public var adapterBytes: Int
  /// Seconds from start to end.
  public var totalSeconds: Double
  /// The element type of the frozen weights.
  public var dtype: String
  /// The seed.
  public var seed: UInt64
  /// A question and the tuned model's answer.
  public var question: String
  /// What it answered.
  public var answer: String
}

/// Measures a model on a task, tunes it, measures again.
public struct Quickstart {
  /// The model's name or path.
  public var model: String
  /// The folder with `train.jsonl`, `test.jsonl` and `examples.jsonl`.
  public var data: String
  /// The run's folder.
  public var output: String
  /// What the model is loaded as.
  public var options: ModelOptions
  /// Keys of the recipe that are set otherwise: `key.path=value`.
  public var overrides: [String] = []
  /// Whether the model is measured only once, after it was tuned.
  public var measuresOnlyTuned = false

  /// A quickstart by its parts.
  public init(model: String, data: String, output: String, options: ModelOptions = ModelOptions()) {
    (self.model, self.data, self.output, self.options) = (model, data, output, options)
  }

  /// The recipe it tunes by. Batch size, learning rate and schedule were chosen on 400 further snippets of the same source, not on
  /// those it reports on.
  ///
  /// - Throws: ``RecipeError`` for an override that does not fit.
  public func recipe() throws(RecipeError) -> Recipe {
    var lora = LoRAConfiguration()
    (lora.r, lora.alpha) = (8, 16)
    var recipe = Recipe(
      model: model, method: MethodRecipe(lora), data: DataRecipe(train: [DataSource(path: "\(data)/train.jsonl")]), output: output
    )
    recipe.data.encoding.maxLength = 512
    recipe.train.epochs = 1
    recipe.train.batchSize = 4
    recipe.train.model = options
    recipe.train.options.learningRate = 1e-3
    recipe.train.options.schedule = .cosine
    recipe.train.options.warmupRatio = 0.03
    return overrides.isEmpty ? recipe : try Recipe(recipe.yaml, file: "the quickstart's recipe", overrides: overrides)
  }

  /// Runs it.
  ///
  /// - Parameters:
  ///   - say: told in words what happens.
  ///   - observe: told what training does.
  /// - Throws: an error of the part that failed.
  public func run(say: (String) -> Void, observe: @escaping (TrainingEvent) -> Void) throws -> QuickstartSummary {
    let start = ContinuousClock.now
    let recipe = try recipe()
    let run = TuneRun(recipe)
    try run.check(resuming: false, overwriting: true)
    let (test, examples) = (try LabelTask("\(data)/test.jsonl"), try LabelTask("\(data)/examples.jsonl"))
    say("loading \(model)")
    let loaded = try LoadedModel(model, options: options)
    let before = try measuresOnlyTuned ? [] : measureBase(test, examples, loaded, say: say)
    let tuned = try run.run(model: loaded, announce: { say("tuning: \($0.summary)") }, observe: observe)
    say("measuring the tuned model")
    let after = try measure("tuned", test, nil, loaded)
    let (question, answer) = try ask(test, loaded)
    let state = tuned.training.state
    let summary = QuickstartSummary(
      model: model, heldOut: test.count, trainingSamples: tuned.plan.training.encoded,
      measures: (before + [after]).map(\.measure),
      comparison: try before.first.map { try PairedComparison(before: $0.isRight, after: after.isRight) },
      trainableParameters: tuned.plan.trainableParameters, totalParameters: tuned.plan.totalParameters, steps: state.step,
      tokens: state.tokens, trainingSeconds: state.seconds, tokensPerSecond: Double(state.tokens) / max(state.seconds, 1e-9),
      trainingLoss: tuned.training.rows.last { $0.loss != nil }?.loss, peakMemoryBytes: ProcessMemory.peakBytes,
      adapterBytes: try folderBytes(run.resultFolder), totalSeconds: (ContinuousClock.now - start) / .seconds(1),
      dtype: loaded.model.dtype.rawValue, seed: recipe.train.options.seed, question: question, answer: answer)
    try write(summary, tuned, run)
    return summary
  }

  private typealias Measured = (measure: QuickstartMeasure, isRight: [Bool])

  private func measureBase(
    _ test: LabelTask, _ examples: LabelTask, _ loaded: LoadedModel, say: (String) -> Void
  ) throws -> [Measured] {
    say("measuring the base model on \(test.count) held-out snippets")
    return [
      try measure("zero-shot", test, nil, loaded),
      try measure("\(examples.count) examples in the prompt", test, examples, loaded),
    ]
  }

  private func measure(
    _ name: String, _ task: LabelTask, _ examples: LabelTask?, _ loaded: LoadedModel
  ) throws -> Measured {
    let start = ContinuousClock.now
    let items = try task.items(examples: examples, text: loaded.text)
    let outcome = try ChoiceEvaluation(ChoiceScorer(loaded.model)).run(items, labels: task.labels)
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    return (QuickstartMeasure(name: name, report: outcome.report, seconds: seconds), outcome.isRight)
  }

  /// The tuned model's answer to the first held-out question.
  private func ask(_ task: LabelTask, _ loaded: LoadedModel) throws -> (question: String, answer: String) {
    guard let template = try loaded.text.template() else { throw RecipeError("\(loaded.path) has no chat template") }
    var settings = SamplingSettings()
    settings.temperature = 0
    settings.maxNewTokens = 16
    settings.endTokens = loaded.stopTokens
    let prompt = loaded.text.tokenizer.encode(try task.prompt(0, template: template), addSpecialTokens: false)
    let output = try Generator(loaded.model, tokenizer: loaded.text.tokenizer).generate([prompt], settings: settings)
    return (task.question(0), output.sequences.first?.text ?? "")
  }

  private func folderBytes(_ folder: URL) throws -> Int {
    let manager = FileManager.default
    return try manager.contentsOfDirectory(atPath: folder.path).reduce(0) { sum, name in
      let attributes = try manager.attributesOfItem(atPath: folder.appending(path: name).path)
      return sum + ((attributes[.size] as? Int) ?? 0)
    }
  }

  private func write(_ summary: QuickstartSummary, _ tuned: TuneResult, _ run: TuneRun) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try AtomicFile.write(Array(try encoder.encode(summary)), to: run.output.appending(path: "summary.json"))
    let table = "<h2>Before and after</h2><pre>\(escaped(summary.table))</pre>"
    let report = RunReport(recipe: run.recipe, result: tuned, sections: [table])
    try AtomicFile.write(report.html, to: run.output.appending(path: "report.html"))
  }
}
