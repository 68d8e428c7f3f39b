import Checkpoints
import Datasets
import Foundation
import Models
import NN
import Objectives
import Text
import Torch
import Training
import Tuners

/// A run gone through without numbers: the model's layers, the method, the objective, the optimizer, and steps on given batches, all
/// by the code of the run itself, while memory is counted in the place of being used.
struct RunRehearsal {
  let recipe: Recipe
  let outline: ModelOutline
  let model: any CausalLM
  let adapters: AdapterSet
  let device: Device

  /// What came out.
  struct Findings {
    /// The batches gone through.
    var work: PlannedWork
    /// Of the whole run.
    var memory: MemoryRehearsal.Report
    /// The same at the end of the last step, where gradients are still there.
    var step: MemoryRehearsal.Report
    /// What the method took while it was installed, at most.
    var installing: Int
    /// What the layers keep for the backward pass.
    var activations: Int
    /// Whether the base's own numbers are given up.
    var replacesBase: Bool
    /// Bytes of what is tuned.
    var tuned: Int
    /// Bytes of what the optimizer remembers: all, those in a file, and those of the file that are in memory at once.
    var remembered: (all: Int, paged: Int, pagedAtOnce: Int)
    /// All numbers, and those that are tuned.
    var parameters: (total: Int, trainable: Int)
    /// What products the model's mathematics asks for.
    var operations: ModelOperations
  }

  /// - Parameters:
  ///   - recipe: the recipe.
  ///   - files: the model's, of which configuration and headers are read.
  ///   - vocabulary: the vocabulary, where it has grown.
  ///   - device: where the run is to be.
  /// - Throws: what the parts of a run throw that cannot be put together.
  init(_ recipe: Recipe, files: ModelFiles, vocabulary: GrownVocabulary?, device: Device) throws {
    let options = recipe.train.model
    (self.recipe, self.device) = (recipe, device)
    outline = try ModelLoader.outline(
      ModelConfiguration(files.config, path: files.path), weights: files.weights, dtype: options.resolvedDType(on: device),
      packing: options.quantization?.packing)
    model = outline.model
    adapters = try AdapterSet(model)
    try vocabulary?.grow(model)
  }

  /// Goes through a step on each of some batches, of two of them where `gradient_accumulation` says so, and through an evaluation.
  ///
  /// - Parameters:
  ///   - config: the model's `config.json`.
  ///   - data: the data; nil for samples as long as they may be.
  ///   - install: puts what is tuned into the model.
  func run(config: JSON, data: RunData?, install: (AdapterSet) throws -> Adapter) throws -> Findings {
    try MemoryRehearsal.run(on: device) { rehearsal in
      try rehearsal.enter(.model)
      let adapter = try install(adapters)
      let work = try PlannedWork.of(recipe, data, contextLength: model.tokenLimit)
      let installing = try rehearsal.report().most
      try adapter.setTrainable(true)
      try rehearsal.enter(.optimizer)
      let optimizer = try makeOptimizer(adapter)
      model.gradientCheckpointing = recipe.train.options.gradientCheckpointing
      let objective = recipe.objective.objective
      try measureReference(objective, work.evaluation, rehearsal)
      model.train(objective.usesDropout)
      let activations = try kept(by: work.batches, rehearsal)
      var step = try rehearsal.report()
      for batch in work.batches { step = try take(batch, objective, optimizer, rehearsal) }
      try evaluate(objective, work.evaluation, rehearsal)
      let replaced = adapter.configuration.files == .model && adapter.parameters.count >= tunableCount
      return Findings(
        work: work, memory: try rehearsal.report(), step: step, installing: installing, activations: activations,
        replacesBase: replaced,
        tuned: adapter.parameters.reduce(0) { $0 + $1.value.byteCount },
        remembered: Optimizer.memory(
          of: adapter.parameters.map { ($0.path, $0.value.shape) }, recipe.train.options.optimizer.method),
        parameters: model.parameterCount(),
        operations: ModelOperations(model, config: config))
    }
  }

  /// Parameters of the model, each once.
  private var tunableCount: Int {
    model.parameters().count { !$0.path.contains(".adapters.") } - (model.isTied ? 1 : 0)
  }

  /// The optimizer with all that it remembers in memory: a file would be used, not rehearsed.
  private func makeOptimizer(_ adapter: Adapter) throws -> Optimizer {
    var options = recipe.train.options.optimizer
    options.method = options.method.unpaged
    return try Optimizer(adapter.parameters, options: options, seed: recipe.train.options.seed)
  }

  /// What stays of a forward pass through the layers.
  private func kept(by batches: [Batch], _ rehearsal: MemoryRehearsal) throws -> Int {
    guard let largest = batches.max(by: { $0.tokenCount < $1.tokenCount }) else { return 0 }
    try rehearsal.enter(.forward)
    let before = try rehearsal.report().live
    let hidden = try model.hidden(largest)
    return try withExtendedLifetime(hidden) { try rehearsal.report().live - before }
  }

  private func take(
    _ batch: Batch, _ objective: any Objective, _ optimizer: Optimizer, _ rehearsal: MemoryRehearsal
  ) throws -> MemoryRehearsal.Report {
    let options = recipe.train.options
    if options.optimizer.isInBackward {
      try rehearsal.enter(.forward)
      let loss = try objective.evaluate(batch, model: model).loss / 1
      try rehearsal.enter(.backward)
      _ = try optimizer.update(learningRate: options.learningRate) { () throws(TorchError) in try loss.backward() }
      return try rehearsal.report()
    }
    for _ in 0..<min(2, options.gradientAccumulation) {
      try rehearsal.enter(.forward)
      let loss = try objective.evaluate(batch, model: model).loss
      try rehearsal.enter(.backward)
      try (loss / 1).backward()
    }
    try rehearsal.enter(.update)
    try optimizer.update(learningRate: options.learningRate)
    let report = try rehearsal.report()
    try optimizer.clearGradients()
    return report
  }

  private func measureReference(
    _ objective: any Objective, _ batch: Batch?, _ rehearsal: MemoryRehearsal
  ) throws {
    guard objective.needsReference, let batch else { return }
    try rehearsal.enter(.evaluation)
    model.train(false)
    try withoutGradients { () throws in _ = try SequenceLogProbs(batch, model: model) }
  }

  private func evaluate(_ objective: any Objective, _ batch: Batch?, _ rehearsal: MemoryRehearsal) throws {
    guard let batch, !recipe.data.eval.isEmpty || recipe.data.evalSplit != nil else { return }
    try rehearsal.enter(.evaluation)
    model.train(false)
    try withoutGradients { () throws in _ = try objective.evaluate(batch, model: model) }
  }
}
