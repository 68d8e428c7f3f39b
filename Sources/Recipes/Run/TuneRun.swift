import Checkpoints
import Datasets
import Foundation
import NN
import Objectives
import Text
import Torch
import Training
import Tuners

/// What a run says before its first step.
public struct TunePlan: Sendable {
  /// Numbers in the model, the tuned ones included.
  public let totalParameters: Int
  /// Numbers that are tuned.
  public let trainableParameters: Int
  /// The element type of the frozen weights.
  public let dtype: DType
  /// Where it runs.
  public let device: Device
  /// Training samples and what encoding did to them.
  public let training: EncodingReport
  /// The same of the evaluation samples.
  public let evaluation: EncodingReport?
  /// Steps to take.
  public let totalSteps: Int

  /// The share of numbers that are tuned, in percent.
  public var percentage: Double { 100 * Double(trainableParameters) / Double(max(1, totalParameters)) }

  /// What encoding did to the data, in words.
  public var dataNotes: [String] { ["training data: \(training)"] + (evaluation.map { ["evaluation data: \($0)"] } ?? []) }

  /// The plan in one line.
  public var summary: String {
    let share = String(format: "%.4f", percentage)
    return "\(trainableParameters) of \(totalParameters) parameters trained (\(share) %), "
      + "\(counted(training.encoded, "sample")), \(counted(totalSteps, "step")), \(dtype.rawValue) on \(device)"
  }
}

/// A recipe at work: from base weights and data files to a tuned adapter in the run's folder.
public final class TuneRun {
  /// The recipe.
  public let recipe: Recipe
  private let folder: RunFolder
  private let store: ModelStore

  /// A run of `recipe`, whose model's name is looked up in `store`. Nothing is read yet.
  public init(_ recipe: Recipe, store: ModelStore = .standard) {
    (self.recipe, self.store) = (recipe, store)
    folder = RunFolder(recipe.output)
  }

  /// The run's folder.
  public var output: URL { folder.url }

  /// Where the adapter is written at the end.
  public var adapterFolder: URL { output.appending(path: "adapter") }

  /// Checks every path before anything is loaded.
  ///
  /// - Parameters:
  ///   - resuming: the folder must hold a run.
  ///   - overwriting: a run in the folder is removed when this one starts.
  /// - Throws: ``RecipeError`` that names key and path.
  public func check(resuming: Bool, overwriting: Bool) throws {
    let manager = FileManager.default
    do { _ = try store.resolve(recipe.model) } catch let error as RecipeError { throw RecipeError("model: \(error)") }
    for source in recipe.data.train + recipe.data.eval where !manager.fileExists(atPath: source.path) {
      throw RecipeError("data: there is no file “\(source.path)” in \(manager.currentDirectoryPath)")
    }
    if let folder = recipe.method.initFrom { _ = try AdapterFolder.configuration(URL(filePath: folder)) }
    try folder.check(resuming: resuming, overwriting: overwriting)
  }

  /// Trains, and leaves the run's files in its folder.
  ///
  /// - Parameters:
  ///   - loaded: the model, where it is loaded already.
  ///   - resuming: go on from the newest checkpoint.
  ///   - shouldStop: asked between steps; where true, the run saves and stops.
  ///   - announce: told the plan before the first step.
  ///   - observe: told what training does.
  /// - Throws: an error of the part that failed; `TrainingInterrupted` when asked to stop.
  @discardableResult
  public func run(
    model loaded: LoadedModel? = nil, resuming: Bool = false, shouldStop: @escaping () -> Bool = { false },
    announce: (TunePlan) -> Void = { _ in }, observe: @escaping (TrainingEvent) -> Void = { _ in }
  ) throws -> TuneResult {
    let url = try store.resolve(recipe.model)
    let text = try loaded?.text ?? TextSide(url)
    let stops = try loaded?.stopTokens ?? LoadedModel.stopTokens(ModelFiles(url), tokenizer: text.tokenizer)
    let (training, evaluation) = try encode(text, stopTokens: stops)
    let model = try loaded ?? LoadedModel(recipe.model, options: recipe.train.model, store: store)
    try RandomState.seed(recipe.train.options.seed)
    let adapter = try install(in: model)
    guard let objective = Objectives.make(recipe.objective) else {
      throw RecipeError("there is no objective “\(recipe.objective)”")
    }
    try folder.prepare(recipe: recipe.yaml, resuming: resuming)
    let trainer = try Trainer(
      model: model.model, part: TunedAdapter(adapter, base: recipe.model), objective: objective,
      loader: try loader(training), evalSamples: evaluation?.samples ?? [], options: recipe.train.options, output: output,
      shouldStop: shouldStop, observe: observe)
    let (total, trainable) = model.model.parameterCount()
    let plan = TunePlan(
      totalParameters: total, trainableParameters: trainable, dtype: model.model.dtype, device: model.model.device,
      training: training.report, evaluation: evaluation?.report, totalSteps: trainer.totalSteps)
    announce(plan)
    let result = try trainer.run(resuming: resuming)
    try adapter.setTrainable(false)
    try AdapterFolder.save(adapter, base: recipe.model, to: adapterFolder)
    let summary = TuneResult(plan: plan, training: result, adapter: adapterFolder, model: model)
    try AtomicFile.write(RunReport(recipe: recipe, result: summary).html, to: output.appending(path: "report.html"))
    return summary
  }

  private func encode(
    _ text: TextSide, stopTokens: Set<Int32>
  ) throws -> (training: EncodedDataset, evaluation: EncodedDataset?) {
    var settings = recipe.data.encoding
    settings.stopTokens = stopTokens
    var training = try Dataset.load(recipe.data.train)
    var evaluation = recipe.data.eval.isEmpty ? nil : try Dataset.load(recipe.data.eval)
    if let share = recipe.data.evalSplit {
      let parts = try training.split(evalShare: share, seed: recipe.train.options.seed)
      (training, evaluation) = (parts.train, parts.eval)
    }
    let hasTools = training.samples.contains { $0.tools != nil }
    let encoder = try SampleEncoder(
      tokenizer: text.tokenizer, renderer: try text.template(hasTools: hasTools), settings: settings)
    return (
      try training.encoded(with: encoder, strict: recipe.data.isStrict),
      try evaluation?.encoded(with: encoder, strict: recipe.data.isStrict)
    )
  }

  private func install(in model: LoadedModel) throws -> Adapter {
    guard let folder = recipe.method.initFrom else { return try model.adapters.add(recipe.method.lora) }
    return try AdapterFolder.load(URL(filePath: folder), into: model.adapters)
  }

  private func loader(_ dataset: EncodedDataset) throws -> DataLoader {
    let train = recipe.train
    let packed = recipe.data.packing ? recipe.data.encoding.maxLength : nil
    let plan = BatchPlan(
      batchSize: train.batchSize, packedLength: packed, order: recipe.data.order, seed: train.options.seed)
    return try DataLoader(dataset, plan: plan, epochs: train.epochs)
  }
}

/// What a run came to.
public struct TuneResult {
  /// What was planned.
  public let plan: TunePlan
  /// Metrics and final state.
  public let training: TrainingResult
  /// The adapter's folder.
  public let adapter: URL
  /// The model, with the adapter at work.
  public let model: LoadedModel
}
