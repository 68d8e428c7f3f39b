import Datasets
import Foundation
import NN
import Objectives
import Text
import Training
import Tuners

extension RunData {
  /// The data as an objective takes them.
  func prepared(for objective: any Objective, batchSize: Int, limit: Int) -> RunData {
    func prepared(_ dataset: EncodedDataset) -> EncodedDataset {
      var dataset = dataset
      dataset.samples = objective.prepared(dataset.samples, batchSize: batchSize, limit: limit)
      return dataset
    }
    return RunData(training: prepared(training), evaluation: evaluation.map(prepared), cacheUse: cacheUse, prompts: prompts)
  }
}

/// What a run's objective measures against: the model as it is before the first step, or another one.
struct RunReference {
  let model: LoadedModel
  /// The adapters that belong to it.
  let uses: [AdapterUse]
  /// What it is, beside the model's own files: where those adapters were read, and how its weights are kept.
  let parts: (folders: [URL], weights: String)
  /// Where what it says is kept from run to run; nil for nowhere.
  let cache: TokenCache?
  let shouldStop: () -> Bool

  /// The data with what the reference says of it, from the cache where the same was measured before.
  ///
  /// - Throws: ``RecipeError`` where it was asked to stop; what the model throws.
  func measure(_ data: RunData) throws -> RunData {
    let key = try cache == nil ? nil : cacheKey(data)
    if let key, let known = cache?.load(key), known.count == (data.evaluation == nil ? 1 : 2) {
      return data.with(known, note: "reference: from the cache, \(cache?.file(of: key).path ?? "")")
    }
    let measured = try measured([data.training] + (data.evaluation.map { [$0] } ?? []))
    guard let key, let cache else { return data.with(measured, note: "reference: measured with \(model.path)") }
    do {
      try cache.store(measured, under: key)
      return data.with(
        measured, note: "reference: measured with \(model.path) and kept in the cache, \(cache.file(of: key).path)")
    } catch {
      return data.with(measured, note: "reference: measured with \(model.path) and not kept in the cache, since \(error)")
    }
  }

  /// What the numbers depend on: base, adapters, tokens and marks, and what is computed in.
  private func cacheKey(_ data: RunData) throws -> CacheKey {
    var builder = CacheKey.Builder("log-probabilities of a reference")
    let base = try model.weights.recordBase()
    let form = base.quantization.map { "\($0) \($0.skipModules)" } ?? ""
    builder.add("base", [base.fingerprint, form, base.dtype ?? "", parts.weights, "\(model.model.device)"])
    builder.add("new tokens", model.weights.vocabulary?.tokens.count ?? 0)
    for folder in parts.folders {
      for name in [AdapterFolder.configName, AdapterFolder.stateName] {
        builder.add(name, contents: (try? Array(Data(contentsOf: folder.appending(path: name)))) ?? [])
      }
      builder.add("weights", contents: Array(try Data(contentsOf: AdapterFolder.weights(folder))))
    }
    builder.add("training", samples: data.training.samples)
    builder.add("evaluation", samples: data.evaluation?.samples ?? [])
    return builder.key
  }

  private func measured(_ datasets: [EncodedDataset]) throws -> [EncodedDataset] {
    let before = model.adapters.uses
    try model.adapters.activate(uses: uses)
    defer { try? model.adapters.activate(uses: before) }
    return try datasets.map { dataset in
      guard let samples = try dataset.samples.measured(against: model.model, shouldStop: shouldStop) else {
        throw RecipeError("stopped while the model was measured that the objective compares with; nothing was trained yet")
      }
      var measured = dataset
      measured.samples = samples
      return measured
    }
  }
}

extension RunData {
  /// The data with the references of the same samples.
  fileprivate func with(_ measured: [EncodedDataset], note: String) -> RunData {
    var data = self
    data.training.samples = measured[0].samples
    if measured.count > 1 { data.evaluation?.samples = measured[1].samples }
    data.referenceNote = note
    return data
  }
}

extension TuneRun {
  /// What the run's objective measures against.
  ///
  /// - Parameters:
  ///   - model: the run's, with what is tuned installed.
  ///   - adapter: what is tuned. It belongs to the reference where it began as something saved; what is new does not.
  ///   - shouldStop: asked between batches.
  func reference(
    of model: LoadedModel, tuning adapter: Adapter, shouldStop: @escaping () -> Bool
  ) throws -> RunReference {
    let cache = recipe.data.usesCache ? store.tokenCache : nil
    if let name = recipe.objective.referenceModel {
      let other = try LoadedModel(name, options: recipe.train.model, store: store)
      try other.refuseWithoutTokens()
      let sizes = (other.text.tokenizer.vocabularySize, model.text.tokenizer.vocabularySize)
      guard sizes.0 == sizes.1 else {
        throw RecipeError(
          "objective.reference_model: \(other.path) has a vocabulary of \(sizes.0) tokens, and \(model.path) one of \(sizes.1): both have to "
            + "read the same tokens")
      }
      let folders = recipe.objective.referenceAdapters
      try other.load(adapters: folders, anyBase: anyBase)
      return RunReference(
        model: other, uses: other.adapters.uses, parts: (try folders.map(ModelWeights.adapterFolder), ""), cache: cache,
        shouldStop: shouldStop)
    }
    let isWhole = recipe.method.initFrom != nil || adapter.configuration.files == .model
    let saved =
      try recipe.method.below.map(ModelWeights.adapterFolder) + (recipe.method.initFrom.map { [URL(filePath: $0)] } ?? [])
    return RunReference(
      model: model, uses: isWhole ? model.adapters.uses : model.adapters.uses.filter { $0.name != adapter.name },
      parts: (saved, isWhole ? adapter.configuration.name : ""), cache: cache, shouldStop: shouldStop)
  }
}

extension Objective {
  /// Refuses data that it cannot learn from.
  ///
  /// - Throws: ``RecipeError`` that says what it learns from and what the data are.
  func check(_ data: RunData) throws(RecipeError) {
    guard learnsFrom != .prompts else { return }
    for samples in [data.training.samples, data.evaluation?.samples ?? []] {
      let found: LearningMaterial =
        samples.contains { $0.rank > 0 } ? .pairs : samples.contains { $0.grade != nil } ? .labelled : .texts
      guard samples.isEmpty || learnsFrom.takes(found) else {
        throw RecipeError("objective: “\(name)” learns from \(learnsFrom.words), and the data are \(found.words)")
      }
      let answers = learnsFrom == .pairs ? 2...Int.max : found == .pairs ? 2...2 : 1...1
      guard let group = samples.groups.first(where: { !answers.contains($0.count) }) else { continue }
      throw RecipeError(
        "\(samples[group.lowerBound].location): “\(name)” takes \(learnsFrom == .pairs ? "several answers" : "one answer, or pairs of them,") "
          + "to each prompt, and there \(group.count == 1 ? "is" : "are") \(group.count)")
    }
  }
}
