import Datasets
import Foundation
import NN
import Torch
import Training
import Tuners

/// What is done about memory before a run.
public enum MemoryCheck: Sendable, Hashable {
  /// Nothing.
  case none
  /// A run that does not fit is refused with what to change; one that does tries a step on its largest batch.
  case refuse
  /// The recipe is changed so that it fits.
  case fit
}

extension TuneRun {
  /// Plans memory before the model is loaded.
  ///
  /// A plan that cannot be made stops no run, and is said so: what is wrong with the recipe shows where the model is put together.
  ///
  /// - Throws: ``RecipeError`` where the run does not fit, with what to change.
  func planMemory(
    _ data: inout RunData, _ url: URL, _ vocabulary: GrownVocabulary?
  ) throws -> (plan: RunPlan?, notes: [String])? {
    guard memoryCheck != .none || recipe.train.choosesCheckpointing else { return nil }
    let planned: RunPlan
    let context: PlanContext
    do {
      context = try PlanContext(self, available: nil)
      planned = try chooseCheckpointing(data, in: context)
    } catch {
      recipe.train.choosesCheckpointing = false
      return (nil, ["memory is not planned: \(error)"])
    }
    var notes = [planned.line]
    guard memoryCheck != .none, !planned.fits else { return (planned, notes) }
    guard memoryCheck == .fit else { throw try refusal(planned, data, in: context) }
    let fitted = try fit(planned, data, in: context).fitted()
    guard fitted.plan.fits else { throw try refusal(planned, data, in: context) }
    notes += fitted.settings.map { "changed so that it fits: \($0)" }
    let recutsData = fitted.recipe.data.encoding.maxLength != recipe.data.encoding.maxLength
    recipe = fitted.recipe
    if recutsData { data = try encode(url, nil, vocabulary) }
    return (fitted.plan, notes + [fitted.plan.line])
  }

  /// The plan of the recipe, where it says so with the least gradient checkpointing that fits, which it then has.
  func chooseCheckpointing(_ data: RunData?, in context: PlanContext) throws -> RunPlan {
    guard recipe.train.choosesCheckpointing else { return try plan(data, in: context) }
    recipe.train.choosesCheckpointing = false
    for part in [GradientCheckpointing.Part.none, .selective] {
      recipe.train.options.gradientCheckpointing = GradientCheckpointing(part)
      let planned = try plan(data, in: context)
      if planned.fits { return planned }
    }
    recipe.train.options.gradientCheckpointing = .full
    return try plan(data, in: context)
  }

  /// What can be changed where a plan does not fit.
  func fit(_ planned: RunPlan, _ data: RunData?, in context: PlanContext) -> PlanFit {
    let blocks = context.files.quantization.flatMap { PackedWeight.BlockFormat(rawValue: $0.type) } != nil
    return PlanFit(recipe: recipe, plan: planned, storedBlocks: blocks) { [store] recipe in
      let run = TuneRun(recipe, store: store)
      return try run.plan(data.map { data in recipe.data.encoding.maxLength.map(data.cut) ?? data }, in: context)
    }
  }

  private func refusal(_ planned: RunPlan, _ data: RunData, in context: PlanContext) throws -> RecipeError {
    RecipeError(planned.refusal(try fit(planned, data, in: context).changes()))
  }

  /// Goes through a step on the largest batch, where memory is looked at.
  func tryStep(_ trainer: Trainer) throws {
    guard memoryCheck != .none, let batch = trainer.largestBatch else { return }
    do { try trainer.tryStep(batch) } catch let error as TorchError where error.kind == .outOfMemory {
      throw RecipeError(
        "a step on the largest batch, \(counted(batch.segmentLengths.count, "sample")) with \(counted(batch.tokenCount, "token")), "
          + "finds no memory: \(error.message). Nothing was trained. `attune plan --fit` says what to change")
    }
  }
}
