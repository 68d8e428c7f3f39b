import Datasets
import Foundation
import Generation
import NN
import Objectives
import Reinforcement
import Rewards
import Training
import Tuners

/// What a run learns, from what, and what it changes.
struct RunLesson {
  var objective: any Objective
  var part: any TunedPart
  var batches: any BatchSource
  var evalSamples: [EncodedSample] = []
}

extension TuneRun {
  /// What a run learns from its data.
  func lesson(
    _ data: RunData, by objective: any Objective, model: LoadedModel, adapter: Adapter, part: any TunedPart,
    warn: @escaping (String) -> Void
  ) throws -> RunLesson {
    guard let reinforcement = recipe.objective.reinforcement, let prompts = data.prompts else {
      return RunLesson(
        objective: objective, part: part, batches: LoaderBatches(try recipe.loader(data.training)),
        evalSamples: data.evaluation?.samples ?? [])
    }
    return try lesson(reinforcement, prompts: prompts, model: model, adapter: adapter, part: part, warn: warn)
  }

  /// What a run learns from the answers that its own model gives to prompts.
  ///
  /// - Throws: ``RecipeError`` where there is nothing that the policy could be held to; what opening a reward throws.
  private func lesson(
    _ reinforcement: ReinforcementRecipe, prompts: EncodedPrompts, model: LoadedModel, adapter: Adapter, part: any TunedPart,
    warn: @escaping (String) -> Void
  ) throws -> RunLesson {
    var settings = try reinforcement.settings(recipe.train)
    settings.sampling.endTokens = model.stopTokens
    let rewards = RewardSum(
      try reinforcement.rewards.map { RewardSum.Part($0.name, try $0.configuration.open(), weight: $0.weight) })
    var objective: any Objective = recipe.objective.objective
    var tuned = part
    var head: ValueHead?
    if let proximal = objective as? ProximalPolicy {
      let made = try ValueHead(features: model.model.shape.hiddenSize, device: model.model.device)
      (head, objective) = (made, ValuedPolicy(proximal.settings, head: made))
      tuned = TunedPolicy(part, head: made)
    }
    let policy = Policy(
      model: model.model, tokenizer: model.text.tokenizer, head: head,
      asReference: settings.needsReference ? try reference(model, adapter) : { try $0() })
    let source = try RolloutBatches(
      prompts, order: recipe.data.order, epochs: recipe.train.epochs, policy: policy, rewards: rewards, settings: settings,
      accumulation: recipe.train.options.gradientAccumulation, log: RolloutLog(folder: output), warn: warn)
    return RunLesson(objective: objective, part: tuned, batches: source)
  }

  /// Runs something with the model as it is before the first step: what is new is switched off, and what began as something saved is
  /// there a second time, as it was.
  private func reference(_ model: LoadedModel, _ adapter: Adapter) throws -> (() throws -> Void) throws -> Void {
    guard adapter.configuration.files != .model else {
      throw RecipeError(
        "objective: it holds the model to what it was, and method.type \(recipe.method.settings.name) changes the weights "
          + "themselves; tune an adapter, or set beta to 0")
    }
    let adapters = model.adapters
    var uses = adapters.uses.filter { $0.name != adapter.name }
    if let saved = recipe.method.initFrom {
      let before = adapters.uses
      let copy = try AdapterFolder.load(URL(filePath: saved), into: adapters, named: "reference")
      try copy.setTrainable(false)
      try adapters.activate(uses: before)
      uses.append(AdapterUse(copy.name))
    }
    return { [uses] body in
      let before = adapters.uses
      try adapters.activate(uses: uses)
      let result = Result { try body() }
      try adapters.activate(uses: before)
      try result.get()
    }
  }
}
