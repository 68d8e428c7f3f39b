import Datasets
import Foundation
import Generation
import Objectives
import OrderedCollections
import Rewards
import Training

/// Batches that are made of what the policy answers: prompts in, rewarded answers out, each round learnt from one or several times.
///
/// The policy is the model as it stands, adapters at work: there is no second copy. The answers to a prompt share its pass through
/// the model, and ln p of their tokens is computed along the way that training takes.
public final class RolloutBatches: BatchSource {
  private let sampler: RolloutSampler
  private let prompts: [EncodedPrompt]
  private let settings: RolloutSettings
  private let log: RolloutLog?
  private let accumulation: Int
  private let warn: (String) -> Void
  private var loader: DataLoader
  private var state: RolloutState
  private var figures = Figures()

  /// - Parameters:
  ///   - prompts: what is answered.
  ///   - order: shuffled anew each epoch, or as they come.
  ///   - epochs: passes over the prompts; nil for no end.
  ///   - policy: what answers and learns.
  ///   - rewards: what answers are worth.
  ///   - settings: how answers are drawn and made use of.
  ///   - accumulation: batches of an optimizer step.
  ///   - log: where answers are written; nil for nowhere.
  ///   - warn: told what went wrong without ending the run.
  /// - Throws: `TrainingError` where settings do not fit together; `DatasetError`.
  public init(
    _ prompts: EncodedPrompts, order: BatchPlan.Order = .shuffled, epochs: Int? = nil, policy: Policy, rewards: RewardSum,
    settings: RolloutSettings, accumulation: Int = 1, log: RolloutLog? = nil, warn: @escaping (String) -> Void = { _ in }
  ) throws {
    if let problem = settings.problem { throw TrainingError("objective: \(problem)") }
    sampler = RolloutSampler(policy: policy, rewards: rewards, settings: settings)
    (self.prompts, self.settings, self.log) = (prompts.prompts, settings, log)
    (self.accumulation, self.warn) = (accumulation, warn)
    loader = try DataLoader(
      prompts.dataset, plan: BatchPlan(batchSize: 1, order: order, seed: settings.seed), epochs: epochs)
    if let count = loader.batchCount, count < settings.promptsPerGeneration {
      throw TrainingError(
        "the data have \(count) prompts in all epochs, and a round of answers takes \(settings.promptsPerGeneration): give more "
          + "epochs, or a lower batch_size or steps_per_generation")
    }
    var control = DivergenceControl(beta: 0)
    switch settings.estimator {
    case .generalized(let generalized): control = generalized.control
    case .leaveOneOut(let beta, _), .reinforcePlusPlus(let beta, _): control = DivergenceControl(beta: beta)
    case .group, .pairs: break
    }
    state = RolloutState(control: control)
  }

  /// The answers at hand.
  public var samples: [EncodedSample] { state.samples }
  /// The place of the next prompt.
  public var position: DataLoader.Position { loader.position }
  /// Passes over the prompts, with fractions.
  public var epoch: Double {
    Double(position.epoch) + Double(position.batch) / Double(max(1, loader.batchesInEpoch))
  }
  /// Whether every prompt of the epoch was answered.
  public var isAtEpochEnd: Bool { position.batch == loader.batchesInEpoch }
  /// β as it stands where rewards hold the policy to a reference.
  public var beta: Double { state.control.beta }

  /// Steps at most: prompts that are replaced leave fewer.
  public func stepCount(accumulating count: Int) -> Int? {
    loader.batchCount.map { prompts in
      let perIteration = (settings.batchesPerGeneration + count - 1) / count
      return prompts / settings.promptsPerGeneration * perIteration * settings.iterations
    }
  }

  /// The next batches of the round at hand; where that is spent, the policy answers the next prompts.
  public func nextBatches(_ count: Int, shouldStop: () -> Bool) throws -> [Batch] {
    if state.plan.isSpent {
      guard try answer(shouldStop) else { return [] }
    }
    return state.plan.next(count).map { Batch(Array($0), of: state.samples) }
  }

  /// What is reported of the rounds since this was asked last.
  public func takeFigures() -> Figures {
    defer { figures = Figures() }
    return figures
  }

  /// Rounds of which no pair tells anything, after which a run ends.
  private static let silentLimit = 10

  /// Makes the next round; false where the prompts have ended, or where it was asked to stop.
  private func answer(_ shouldStop: () -> Bool) throws -> Bool {
    for _ in 0..<Self.silentLimit {
      let start = ContinuousClock.now
      var (next, drawn) = (loader, state.drawn)
      guard var round = try draw(settings.promptsPerGeneration, &next, &drawn, shouldStop) else { return false }
      let replaced = try replaceSilent(in: &round, &next, &drawn, shouldStop)
      guard let replaced else { return false }
      let maker = ExperienceMaker(
        policy: sampler.policy, settings: settings, outlivesSteps: outlivesSteps, beta: state.control.beta)
      let made = try maker.make(round.rollouts)
      (loader, state.drawn) = (next, drawn)
      state.begin(made.samples, settings)
      let seconds = (ContinuousClock.now - start) / .seconds(1)
      note(round, made, replaced: replaced, seconds: seconds)
      if let divergence = made.divergence { state.control.observe(divergence: divergence, answers: round.rollouts.count) }
      try log?.append(round.rollouts, advantages: made.advantages, round: state.rounds, limit: settings.logged)
      if !made.samples.isEmpty { return true }
    }
    throw TrainingError(
      "in \(Self.silentLimit) rounds no two answers to one prompt were worth different rewards, so there was nothing to learn: "
        + "change the rewards, raise temperature or num_generations")
  }

  private var outlivesSteps: Bool { settings.iterations > 1 || settings.batchesPerGeneration > accumulation }

  /// Answers to the next prompts; nil where there are not as many, or where it was asked to stop.
  private func draw(
    _ count: Int, _ loader: inout DataLoader, _ drawn: inout UInt64, _ shouldStop: () -> Bool
  ) throws -> RolloutSampler.Round? {
    var chosen: [EncodedPrompt] = []
    while chosen.count < count, let batch = loader.next() { chosen += batch.samples.map { prompts[loader.samples[$0].index] } }
    guard chosen.count == count else { return nil }
    defer { drawn += UInt64(count * settings.generations) }
    return try sampler.round(chosen, stream: drawn, shouldStop: shouldStop)
  }

  /// Puts answers to the next prompts in the place of those that tell nothing.
  ///
  /// - Returns: how many prompts were replaced; nil where it was asked to stop.
  private func replaceSilent(
    in round: inout RolloutSampler.Round, _ loader: inout DataLoader, _ drawn: inout UInt64, _ shouldStop: () -> Bool
  ) throws -> Int? {
    var replaced = 0
    for _ in 0..<settings.resampling {
      let silent = GroupAdvantages.silent(round.rollouts.map(\.reward), size: settings.generations)
      let groups = silent.indices.filter { silent[$0] }
      guard !groups.isEmpty else { break }
      guard let fresh = try draw(groups.count, &loader, &drawn, shouldStop) else { return shouldStop() ? nil : replaced }
      for (place, group) in groups.enumerated() {
        let (from, to) = (place * settings.generations, group * settings.generations)
        round.rollouts.replaceSubrange(to..<to + settings.generations, with: fresh.rollouts[from..<from + settings.generations])
      }
      round.problems += fresh.problems
      round.timing.add(fresh.timing)
      replaced += groups.count
    }
    return replaced
  }

  private func note(_ round: RolloutSampler.Round, _ made: ExperienceMaker.Made, replaced: Int, seconds: Double) {
    for problem in round.problems.prefix(4) { warn("round \(state.rounds): \(problem)") }
    if round.problems.count > 4 { warn("round \(state.rounds): … and \(round.problems.count - 4) more problems with rewards") }
    figures.add(round, size: settings.generations, replaced: replaced)
    figures.add("rollout/seconds", [seconds])
    figures.add("rollout/tokens_per_second", [Double(round.timing.newTokens) / max(1e-9, round.timing.seconds)])
    if let divergence = made.divergence { figures.add("objective/kl", [divergence]) }
    if case .generalized = settings.estimator { figures.add("kl_coef", [state.control.beta]) }
  }

  /// Writes the round at hand and how far it is used up.
  public func save(to folder: URL) throws { try state.write(to: folder) }

  /// Goes to a saved place with the round that was at hand.
  public func restore(_ position: DataLoader.Position, from folder: URL) throws {
    try loader.restore(position)
    state = try RolloutState(readingFrom: folder)
    try log?.keep(until: state.rounds)
  }
}
