import Datasets

/// Looks for changes of a recipe with which a run fits into memory.
struct PlanFit {
  /// The recipe as it is.
  let recipe: Recipe
  /// Its plan.
  let plan: RunPlan
  /// Whether the model's file has blocks that can stay as they are.
  let storedBlocks: Bool
  /// The plan of a changed recipe.
  let planned: (Recipe) throws -> RunPlan

  /// Each change by itself, as far as it has to go or can, what costs least first.
  ///
  /// - Throws: what planning throws.
  func changes() throws -> [PlanChange] {
    try PlanRemedy.all(for: recipe, plan, storedBlocks: storedBlocks).compactMap { remedy in
      var last: PlanChange?
      for step in remedy.steps {
        guard let changed = try changed([step]) else { continue }
        let peak = changed.memory.peak
        guard peak < min(plan.memory.peak, last?.peak ?? .max) else { continue }
        last = PlanChange(settings: step.settings, words: step.words, peak: peak, saving: plan.memory.peak - peak)
        if changed.fits { break }
      }
      return last
    }
  }

  /// The changes that cost least with which it fits: one kind after the other, each as far as it goes, until it fits; then each goes
  /// back as far as it can.
  ///
  /// - Throws: what planning throws.
  func fitted() throws -> FittedPlan {
    guard !plan.fits else { return FittedPlan(recipe: recipe, plan: plan, settings: [], words: []) }
    let remedies = PlanRemedy.all(for: recipe, plan, storedBlocks: storedBlocks)
    var chosen: [Int?] = remedies.map { _ in nil }
    var best = plan
    search: for (place, remedy) in remedies.enumerated() {
      for level in remedy.steps.indices {
        guard let changed = try changed(steps(remedies, chosen.replacing(place, with: level))) else { continue }
        guard changed.memory.peak < best.memory.peak else { continue }
        (chosen[place], best) = (level, changed)
        if best.fits { break search }
      }
    }
    if best.fits { best = try relaxed(&chosen, remedies, best) }
    let taken = steps(remedies, chosen)
    let settings = taken.flatMap(\.settings)
    return FittedPlan(
      recipe: try Recipe(recipe.yaml, overrides: settings), plan: best, settings: settings, words: taken.map(\.words))
  }

  /// Takes back what is not needed, what costs most first.
  private func relaxed(_ chosen: inout [Int?], _ remedies: [PlanRemedy], _ found: RunPlan) throws -> RunPlan {
    var best = found
    for place in chosen.indices.reversed() {
      while let level = chosen[place] {
        let milder = chosen.replacing(place, with: level > 0 ? level - 1 : nil)
        guard let changed = try changed(steps(remedies, milder)), changed.fits else { break }
        (chosen, best) = (milder, changed)
      }
    }
    return best
  }

  private func steps(_ remedies: [PlanRemedy], _ chosen: [Int?]) -> [PlanRemedy.Step] {
    zip(remedies, chosen).compactMap { remedy, level in level.map { remedy.steps[$0] } }
  }

  /// The plan with some changes; nil where they do not go together with the rest.
  private func changed(_ steps: [PlanRemedy.Step]) throws -> RunPlan? {
    guard let recipe = try? Recipe(recipe.yaml, overrides: steps.flatMap(\.settings)) else { return nil }
    return try planned(recipe)
  }
}

extension Array {
  fileprivate func replacing(_ index: Int, with element: Element) -> [Element] {
    var copy = self
    copy[index] = element
    return copy
  }
}

extension RunData {
  /// The data as they would be with shorter samples.
  func cut(to length: Int) -> RunData {
    func cut(_ dataset: EncodedDataset) -> EncodedDataset {
      var short = dataset
      short.samples = dataset.samples.map { sample in
        guard sample.ids.count > length else { return sample }
        var short = sample
        (short.ids, short.trained) = (Array(sample.ids.prefix(length)), Array(sample.trained.prefix(length)))
        return short
      }
      return short
    }
    return RunData(training: cut(training), evaluation: evaluation.map(cut), cacheUse: cacheUse)
  }
}
