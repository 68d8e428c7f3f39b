import Foundation
import Torch

/// Plans a run as `attune plan` does: the plan, what to change where it does not fit, and the recipe with that changed.
public struct RunPlanner {
  /// What came of it.
  public struct Outcome: Sendable {
    /// The plan of the recipe as it is.
    public let plan: RunPlan
    /// Where it does not fit, what to change, each by itself.
    public let changes: [PlanChange]
    /// The recipe changed so that it fits, where that was asked for and needed.
    public let fitted: FittedRecipe?
  }

  /// A recipe that was changed.
  public struct FittedRecipe: Sendable {
    /// The keys that were set.
    public let settings: [String]
    /// Its plan.
    public let plan: RunPlan
    /// The recipe, every default filled in.
    public let yaml: String
  }

  private let recipe: Recipe
  private let available: Int?
  private let store: ModelStore

  /// - Parameters:
  ///   - recipe: the recipe.
  ///   - available: the memory that there is to be, in bytes; nil for what the system has left.
  ///   - store: where the model's name is looked up.
  public init(_ recipe: Recipe, available: Int? = nil, store: ModelStore = .standard) {
    (self.recipe, self.available, self.store) = (recipe, available, store)
  }

  /// Plans.
  ///
  /// - Parameters:
  ///   - readingData: take the batches from the data; else they are made up of samples of `max_length`.
  ///   - measuringTime: measure the rate of matrix products, and tell time by it.
  ///   - fitting: change the recipe where it does not fit.
  /// - Throws: what the parts of a run throw.
  public func plan(readingData: Bool, measuringTime: Bool, fitting: Bool) throws -> Outcome {
    let run = TuneRun(recipe, store: store)
    let data = readingData ? try run.encode() : nil
    let context = try PlanContext(run, available: available)
    var planned = try run.chooseCheckpointing(data, in: context)
    let fit = run.fit(planned, data, in: context)
    let changes = planned.fits ? [] : try fit.changes()
    let fitted = fitting && !planned.fits ? try fit.fitted() : nil
    if measuringTime { planned.time = try time(run, data, in: context) }
    return Outcome(
      plan: planned, changes: changes,
      fitted: fitted.map { FittedRecipe(settings: $0.settings, plan: $0.plan, yaml: $0.recipe.yaml) })
  }

  /// Measured last: matrices of that size would count as memory that the process holds.
  private func time(_ run: TuneRun, _ data: RunData?, in context: PlanContext) throws -> PlannedTime? {
    let device = run.plannedDevice
    guard device == .cpu || TorchRuntime.hasCUDA else { return nil }
    let rate = try MatmulRate.measure(recipe.train.model.resolvedDType(on: device), device: device)
    return try run.plan(data, in: context, matmulRate: rate).time
  }
}
