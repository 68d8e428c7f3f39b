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
  /// What encoding did to the data and whether it was done at all, in words.
  public let dataNotes: [String]
  /// Steps to take.
  public let totalSteps: Int
  /// What the run needs, where that was planned.
  public let memory: RunPlan?
  /// What is to be said of memory.
  public let memoryNotes: [String]

  /// The share of numbers that are tuned, in percent.
  public var percentage: Double { 100 * Double(trainableParameters) / Double(max(1, totalParameters)) }

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
  public internal(set) var recipe: Recipe
  /// Whether an adapter to start from, or a run to go on with, may be another base's.
  public var anyBase = false
  /// Whether memory is planned before the model is loaded, and a step tried before the first one.
  public var memoryCheck = MemoryCheck.none
  private let folder: RunFolder
  let store: ModelStore

  /// A run of `recipe`, whose model's name is looked up in `store`. Nothing is read yet.
  public init(_ recipe: Recipe, store: ModelStore = .standard) {
    (self.recipe, self.store) = (recipe, store)
    folder = RunFolder(recipe.output)
  }

  /// The run's folder.
  public var output: URL { folder.url }

  /// Where the adapter is written at the end, or the model where its own weights are tuned.
  public var resultFolder: URL { output.appending(path: tunesModel ? "model" : "adapter") }

  /// Whether the objective trains a head that scores texts.
  private var trainsScores: Bool { recipe.objective.objective.scoreHead != nil }

  /// Whether the model's own weights are tuned.
  public var tunesModel: Bool { recipe.method.initFrom == nil && recipe.method.settings.files == .model }

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
    if let name = recipe.objective.referenceModel {
      do { _ = try store.resolve(name) } catch let error as RecipeError {
        throw RecipeError("objective.reference_model: \(error)")
      }
    }
    for folder in recipe.objective.referenceAdapters { _ = try ModelWeights.adapterFolder(folder) }
    if let folder = recipe.method.initFrom { _ = try AdapterFolder.configuration(URL(filePath: folder)) }
    for folder in recipe.method.below { _ = try AdapterFolder.configuration(ModelWeights.adapterFolder(folder)) }
    if recipe.objective.objective is Distillation { try teacher.check() }
    try folder.check(resuming: resuming, overwriting: overwriting)
  }

  private var teacher: RunTeacher {
    RunTeacher(recipe: recipe.objective.teacher, options: recipe.train.model, store: store)
  }

  /// Trains, and leaves the run's files in its folder.
  ///
  /// - Parameters:
  ///   - loaded: the model, where it is loaded already.
  ///   - resuming: go on from the newest checkpoint.
  ///   - recorder: what stands between trainer and objective, where steps are measured.
  ///   - shouldStop: asked between steps; where true, the run saves and stops.
  ///   - announce: told the plan before the first step.
  ///   - observe: told what training does.
  /// - Throws: an error of the part that failed; `TrainingInterrupted` when asked to stop.
  @discardableResult
  public func run(
    model loaded: LoadedModel? = nil, resuming: Bool = false, shouldStop: @escaping () -> Bool = { false },
    measuredBy recorder: (any Objective) -> any Objective = { $0 }, announce: (TunePlan) -> Void = { _ in },
    observe: @escaping (TrainingEvent) -> Void = { _ in }
  ) throws -> TuneResult {
    let url = try store.resolve(recipe.model)
    let vocabulary = try grownVocabulary(url)
    var objective: any Objective = recipe.objective.objective
    var data = try encode(url, loaded, vocabulary)
    try objective.check(data)
    let planned = try loaded == nil ? planMemory(&data, url, vocabulary) : nil
    let model = try loaded ?? LoadedModel(recipe.model, options: recipe.train.model, store: store)
    if let vocabulary { try model.weights.grow(vocabulary) }
    try RandomState.seed(recipe.train.options.seed)
    try prepareHead(of: model)
    let adapter = try install(in: model)
    try checkRoom(for: data, in: model.model)
    let room = min(recipe.data.encoding.maxLength ?? .max, model.model.tokenLimit)
    data = data.prepared(for: objective, batchSize: recipe.train.batchSize, limit: room)
    if let distillation = objective as? Distillation {
      objective = distillation.taught(by: try teacher.load(for: model, data: data, settings: distillation.settings))
    }
    if objective.needsReference {
      data = try reference(of: model, tuning: adapter, shouldStop: shouldStop).measure(data)
    }
    try folder.prepare(recipe: recipe.yaml, resuming: resuming)
    let part = adapter.tunedPart(
      base: recipe.model, record: AdapterRecord(base: try model.weights.recordBase()), anyBase: anyBase,
      writeBeside: { try vocabulary?.write(to: $0) })
    let lesson = try lesson(data, by: objective, model: model, adapter: adapter, part: part) { observe(.warning($0)) }
    let trainer = try Trainer(
      model: model.model, part: lesson.part, objective: recorder(lesson.objective), batches: lesson.batches,
      evalSamples: lesson.evalSamples, options: recipe.train.options, output: output, shouldStop: shouldStop, observe: observe)
    try tryStep(trainer)
    let (total, trainable) = model.model.parameterCount()
    let plan = TunePlan(
      totalParameters: total, trainableParameters: trainable, dtype: model.model.dtype, device: model.model.device,
      training: data.training.report, evaluation: data.evaluation?.report, dataNotes: data.notes,
      totalSteps: trainer.totalSteps, memory: planned?.plan, memoryNotes: planned?.notes ?? [])
    announce(plan)
    let result = try trainer.run(resuming: resuming)
    try adapter.setTrainable(false)
    try write(lesson.part, of: model, from: url)
    let summary = TuneResult(plan: plan, training: result, folder: resultFolder, model: model)
    let report = RunReport(recipe: recipe, result: summary, sections: RolloutSections(result, folder: output).html)
    try AtomicFile.write(report.html, to: output.appending(path: "report.html"))
    return summary
  }

  /// The data of the run as tokens, from the cache where they are there. The weights are not read.
  ///
  /// - Throws: an error of the part that failed.
  public func encode() throws -> RunData {
    let url = try store.resolve(recipe.model)
    return try encode(url, nil, try grownVocabulary(url))
  }

  /// The vocabulary of the run where it is not the model's: with the recipe's new tokens, or with those of the adapter it starts from.
  func grownVocabulary(_ url: URL) throws -> GrownVocabulary? {
    let files = try TokenizerFiles(url)
    if let folder = recipe.method.initFrom { return try GrownVocabulary(inAdapter: URL(filePath: folder), over: files) }
    return recipe.newTokens.isEmpty ? nil : try GrownVocabulary(adding: recipe.newTokens, to: files)
  }

  func encode(_ url: URL, _ loaded: LoadedModel?, _ vocabulary: GrownVocabulary?) throws -> RunData {
    let files = try vocabulary?.files ?? TokenizerFiles(url)
    let text = try vocabulary?.text ?? loaded?.text ?? TextSide(files)
    let stops = try loaded?.stopTokens ?? LoadedModel.stopTokens(ModelFiles(url), tokenizer: text.tokenizer)
    let encoder = RunEncoder(
      recipe: recipe.data, seed: recipe.train.options.seed, text: text, files: files, stopTokens: stops, cache: store.tokenCache,
      takesPrompts: recipe.objective.objective.learnsFrom == .prompts)
    return try encoder.run()
  }

  /// Writes what the run came to: an adapter, or a model in the element type of the one it started from.
  private func write(_ part: any TunedPart, of model: LoadedModel, from source: URL) throws {
    guard tunesModel else { return try part.save(to: resultFolder) }
    let files = model.weights.files
    let export = ModelExport(
      source: source, files: files, dtype: MergedModel.storedDType(files.weights), vocabulary: model.weights.vocabulary)
    _ = try export.write(model.model, to: resultFolder)
  }

  /// Gives the model the head that the objective trains, in the place of the one that predicts tokens; the model's own where it fits.
  private func prepareHead(of model: LoadedModel) throws {
    guard let wanted = recipe.objective.objective.scoreHead else { return try model.refuseWithoutTokens() }
    let net = model.model
    if let own = net.scoreHeadShape, own != wanted {
      throw RecipeError(
        "\(model.path) gives \(counted(own.labels, "score")), and “\(recipe.objective.objective.name)” trains \(wanted.labels): start from "
          + "a model that predicts tokens")
    }
    let range = model.weights.files.config["initializer_range"]?.double
    if net.score == nil { try net.setScoreHead(wanted, deviation: range ?? 0.02) }
    net.head = AbsentHead(net.shape.hiddenSize)
  }

  /// Installs what is tuned, behind the adapters that it stands on.
  private func install(in model: LoadedModel) throws -> Adapter {
    if tunesModel, model.model.projections().contains(where: { $0.slot.value is QuantizedLinear }) {
      throw RecipeError(
        "\(model.path) is quantized, and method.type \(recipe.method.settings.name) trains the weights themselves; choose an "
          + "adapter, or a model that is not quantized")
    }
    try model.load(adapters: recipe.method.below, anyBase: anyBase)
    let below = recipe.method.below.isEmpty ? [] : model.adapters.uses
    let adapter = try installTuned(in: model)
    try model.adapters.activate(uses: below + [AdapterUse(adapter.name)])
    return adapter
  }

  private func installTuned(in model: LoadedModel) throws -> Adapter {
    guard let folder = recipe.method.initFrom else {
      var method = recipe.method.settings
      method.prepare(tokenizer: model.text.tokenizer, of: recipe.model)
      if let tokens = model.weights.vocabulary?.tokens {
        try method.train(newTokens: tokens, hasOwnHead: !model.model.isTied)
      }
      return try model.adapters.add(method, scores: trainsScores)
    }
    let url = URL(filePath: folder)
    if !anyBase { try model.weights.refuseOtherBase(ofAdapterIn: url) }
    guard try trainsScores || AdapterFolder.scoreHead(url) == nil else {
      throw RecipeError(
        "method.init_from: \(folder) is a reward model's adapter, and “\(recipe.objective.objective.name)” trains one that predicts tokens"
      )
    }
    return try AdapterFolder.load(url, into: model.adapters, scores: trainsScores)
  }

  /// Refuses samples that the context has no room for beside the virtual tokens before them.
  private func checkRoom(for data: RunData, in model: any CausalLM) throws(RecipeError) {
    let virtual = model.prompts.count
    let samples = data.training.samples + (data.evaluation?.samples ?? [])
    guard virtual > 0, let longest = samples.map(\.ids.count).max(), longest > model.tokenLimit else { return }
    throw RecipeError(
      "the longest sample has \(longest) tokens, and with \(virtual) virtual tokens before it the model's context of "
        + "\(model.shape.contextLength) has room for \(model.tokenLimit): lower data.max_length, or method.num_virtual_tokens")
  }
}

extension Recipe {
  /// The batches of a run.
  func loader(_ dataset: EncodedDataset) throws -> DataLoader {
    let packed = data.packing ? data.encoding.maxLength : nil
    let plan = BatchPlan(batchSize: train.batchSize, packedLength: packed, order: data.order, seed: train.options.seed)
    return try DataLoader(dataset, plan: plan, epochs: train.epochs)
  }
}

/// What a run came to.
public struct TuneResult {
  /// What was planned.
  public let plan: TunePlan
  /// Metrics and final state.
  public let training: TrainingResult
  /// The folder of the adapter, or of the model where its own weights were tuned.
  public let folder: URL
  /// The model, with the adapter at work.
  public let model: LoadedModel
}
