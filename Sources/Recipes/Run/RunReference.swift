import Datasets
import Objectives
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
    return RunData(training: prepared(training), evaluation: evaluation.map(prepared), cacheUse: cacheUse)
  }
}

/// What a run's objective measures against: the model as it is before the first step.
struct RunReference {
  let model: LoadedModel
  /// What the run tunes.
  let adapter: Adapter
  /// Whether that began as something saved: then it belongs to the reference; what is new does not.
  let startsSaved: Bool
  let shouldStop: () -> Bool

  /// The data with what the reference says of it.
  ///
  /// - Throws: ``RecipeError`` where it was asked to stop; what the model throws.
  func measure(_ data: RunData) throws -> RunData {
    let uses = model.adapters.uses
    if !startsSaved, adapter.configuration.files != .model {
      try model.adapters.activate(uses: uses.filter { $0.name != adapter.name })
    }
    defer { try? model.adapters.activate(uses: uses) }
    return RunData(
      training: try measured(data.training), evaluation: try data.evaluation.map(measured), cacheUse: data.cacheUse)
  }

  private func measured(_ dataset: EncodedDataset) throws -> EncodedDataset {
    guard let samples = try dataset.samples.measured(against: model.model, shouldStop: shouldStop) else {
      throw RecipeError("stopped while the model was measured that the objective compares with; nothing was trained yet")
    }
    var measured = dataset
    measured.samples = samples
    return measured
  }
}

extension Objective {
  /// Refuses data that it cannot learn from.
  ///
  /// - Throws: ``RecipeError`` that says what it learns from and what the data are.
  func check(_ data: RunData) throws(RecipeError) {
    for samples in [data.training.samples, data.evaluation?.samples ?? []] {
      let found: LearningMaterial =
        samples.contains { $0.rank > 0 } ? .pairs : samples.contains { $0.grade != nil } ? .labelled : .texts
      guard samples.isEmpty || found == learnsFrom else {
        throw RecipeError("objective: “\(name)” learns from \(learnsFrom.words), and the data are \(found.words)")
      }
      guard let group = samples.groups.first(where: { $0.count != (learnsFrom == .pairs ? 2 : 1) }) else { continue }
      throw RecipeError(
        "\(samples[group.lowerBound].location): “\(name)” takes two answers to each prompt, and there \(group.count == 1 ? "is" : "are") "
          + "\(group.count)")
    }
  }
}
