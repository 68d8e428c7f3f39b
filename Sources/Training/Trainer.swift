import Checkpoints
import Datasets
import Foundation
import NN
import Objectives
import Torch
import Tuners

/// What a run came to.
public struct TrainingResult: Sendable {
  /// Where it stood at the end.
  public let state: TrainingState
  /// The steps it was planned to take.
  public let totalSteps: Int
  /// Every row of metrics.
  public let rows: [MetricsRow]
  /// The last evaluation loss.
  public let evalLoss: Double?
}

/// The training loop: batches in, optimizer steps out, with everything on disk that lets it go on where it stopped.
///
/// Runs on the thread that calls ``run(resuming:)`` and nowhere else.
public final class Trainer {
  private let model: any CausalLM
  private let part: any TunedPart
  private let objective: any Objective
  private let options: TrainingOptions
  private let output: URL
  private let evaluator: Evaluator?
  private let optimizer: Optimizer
  private let checkpoints: CheckpointFolder
  private let observe: (TrainingEvent) -> Void
  private let shouldStop: () -> Bool
  private let source: any BatchSource
  /// Where activations are kept that memory is not to hold.
  private let activations: ScratchFile?
  private var state: TrainingState
  private var evalLoss: Double?

  /// The steps the run takes at most.
  public let totalSteps: Int
  private let schedule: Schedule

  /// A run that is ready to start.
  ///
  /// - Parameters:
  ///   - model: the model, with `part` installed and nothing else taking gradients.
  ///   - part: what is tuned.
  ///   - objective: what is minimised.
  ///   - batches: where the batches come from.
  ///   - evalSamples: the evaluation data; empty for none.
  ///   - options: steps, rates and intervals.
  ///   - output: the run's folder.
  ///   - shouldStop: asked between steps; where true, the run saves and throws ``TrainingInterrupted``.
  ///   - observe: told what happens.
  /// - Throws: ``TrainingError`` where nothing would be trained.
  public init(
    model: any CausalLM, part: any TunedPart, objective: any Objective, batches: any BatchSource,
    evalSamples: [EncodedSample], options: TrainingOptions, output: URL, shouldStop: @escaping () -> Bool = { false },
    observe: @escaping (TrainingEvent) -> Void = { _ in }
  ) throws {
    (self.model, self.part, self.objective, self.options, self.output) = (model, part, objective, options, output)
    (source, self.shouldStop, self.observe) = (batches, shouldStop, observe)
    guard options.gradientAccumulation > 0 else { throw TrainingError("gradient_accumulation must be at least 1") }
    let epochSteps = batches.stepCount(accumulating: options.gradientAccumulation)
    guard let totalSteps = options.maxSteps ?? epochSteps, totalSteps > 0 else {
      throw TrainingError("the run has no end: give epochs or max_steps")
    }
    self.totalSteps = options.maxSteps == nil ? totalSteps : min(totalSteps, epochSteps ?? totalSteps)
    let warmup = options.warmupSteps ?? Int((options.warmupRatio * Double(self.totalSteps)).rounded(.up))
    schedule = Schedule(options.schedule, warmupSteps: warmup, totalSteps: self.totalSteps)
    guard !part.parameters.isEmpty else { throw TrainingError("there is nothing to train: no parameter takes gradients") }
    try options.checkBackwardSteps(gradientsComeWhole: part.gradientsComeWhole && part.companion == nil)
    for (_, value) in part.parameters { try value.setRequiresGradient(true) }
    optimizer = try Optimizer(part.parameters, options: options.optimizer, pages: output, seed: options.seed) {
      part.rateScale(of: $0, learningRate: options.learningRate)
    }
    activations = options.activationOffloading ? try ScratchFile(in: output) : nil
    try part.companion?.begin(totalSteps: self.totalSteps)
    checkpoints = CheckpointFolder(folder: output.appending(path: "checkpoints"))
    evaluator = evalSamples.isEmpty ? nil : Evaluator(evalSamples, objective: objective)
    state = TrainingState(position: batches.position)
  }

  /// A run over the batches of a loader.
  ///
  /// - Throws: what ``init(model:part:objective:batches:evalSamples:options:output:shouldStop:observe:)`` throws.
  public convenience init(
    model: any CausalLM, part: any TunedPart, objective: any Objective, loader: DataLoader, evalSamples: [EncodedSample],
    options: TrainingOptions, output: URL, shouldStop: @escaping () -> Bool = { false },
    observe: @escaping (TrainingEvent) -> Void = { _ in }
  ) throws {
    try self.init(
      model: model, part: part, objective: objective, batches: LoaderBatches(loader), evalSamples: evalSamples, options: options,
      output: output, shouldStop: shouldStop, observe: observe)
  }

  /// The batch with the most tokens among those of the first epoch; nil where that is not known before.
  public var largestBatch: Batch? { source.largestBatch }

  /// Goes forward and backward over a batch as a step does, and leaves everything as it was: parameters, what the optimizer remembers,
  /// random state, metrics and the place in the data.
  ///
  /// - Throws: what a step throws, out of memory above all.
  public func tryStep(_ batch: Batch) throws {
    let device = model.device
    let devices: [Device] = device == .cpu ? [.cpu] : [.cpu, device]
    let states = try devices.map { ($0, try RandomState.capture($0)) }
    let wasTraining = model.isTraining
    let checkpointing = model.gradientCheckpointing
    defer {
      model.train(wasTraining)
      model.gradientCheckpointing = checkpointing
    }
    model.gradientCheckpointing = options.gradientCheckpointing
    model.train(objective.usesDropout)
    let result = Result { try goThrough(batch) }
    try optimizer.clearGradients()
    for (device, state) in states { try RandomState.restore(state, on: device) }
    try result.get()
  }

  private func goThrough(_ batch: Batch) throws {
    let loss = try objective.evaluate(batch, model: model).loss / Double(max(objective.count(batch), 1))
    guard options.optimizer.isInBackward else { return try loss.backward() }
    try optimizer.dropGradients { () throws(TorchError) in try loss.backward() }
  }

  /// Trains to the end.
  ///
  /// - Parameter resuming: go on from the newest whole checkpoint.
  /// - Throws: ``TrainingInterrupted`` when asked to stop; ``TrainingError`` where a loss or gradient is not finite.
  public func run(resuming: Bool) throws -> TrainingResult {
    try RandomState.seed(options.seed)
    if resuming { try resume() }
    let log = try MetricsLog(output.appending(path: "metrics.jsonl"), keepingUntil: state.step)
    observe(.started(step: state.step, totalSteps: totalSteps))
    model.gradientCheckpointing = options.gradientCheckpointing
    model.train(objective.usesDropout)
    defer { model.train(false) }
    // A run that was stopped during an evaluation makes it now.
    var endedEarly = try evaluateIfDue(log)
    while state.step < totalSteps, !endedEarly {
      if shouldStop() { throw try interrupt() }
      guard let step = try takeStep() else {
        if shouldStop() { throw try interrupt() }
        break
      }
      try record(step, in: log)
      endedEarly = try evaluateIfDue(log)
      try saveIfDue()
    }
    // The last evaluation was cut short, so the run has not ended.
    if evaluator != nil, state.evaluatedStep != state.step, shouldStop() { throw try interrupt() }
    if options.loadsBestAtEnd, state.best != nil { try part.restore(from: bestFolder) }
    return TrainingResult(state: state, totalSteps: totalSteps, rows: log.rows, evalLoss: evalLoss)
  }

  private func resume() throws {
    let (checkpoint, damaged) = checkpoints.latest()
    for problem in damaged { observe(.warning("passed over a damaged checkpoint: \(problem)")) }
    guard let checkpoint else {
      throw TrainingError("\(checkpoints.folder.path) holds no whole checkpoint to go on from; start anew with --overwrite")
    }
    state = try CheckpointFolder.restore(checkpoint, optimizer: optimizer, part: part)
    try source.restore(state.position, from: checkpoint)
  }

  private func interrupt() throws -> TrainingInterrupted {
    TrainingInterrupted(step: state.step, checkpoint: try save().path)
  }

  @discardableResult
  private func save() throws -> URL {
    state.position = source.position
    let url = try checkpoints.save(state, optimizer: optimizer, part: part, source: source, limit: options.saveLimit)
    observe(.saved(step: state.step, path: url.path))
    return url
  }

  /// One optimizer step; nil where the data has ended, or where making batches was stopped.
  private func takeStep() throws -> StepReport? {
    let start = ContinuousClock.now
    let batches = try source.nextBatches(options.gradientAccumulation, shouldStop: shouldStop)
    guard !batches.isEmpty else { return nil }
    report(source.takeFigures())
    let count = batches.reduce(0) { $0 + objective.count($1) }
    let rate = options.learningRate * schedule.factor(after: state.step)
    let (sum, loss, norm) =
      try options.optimizer.isInBackward
      ? moveInBackward(batches, count: count, rate: rate) : move(batches, count: count, rate: rate)
    let tokens = batches.reduce(0) { $0 + $1.tokenCount }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    state.step += 1
    state.tokens += tokens
    state.seconds += seconds
    state.window.lossSum += sum
    state.window.count += count
    state.window.tokens += tokens
    state.window.seconds += seconds
    return StepReport(
      step: state.step, totalSteps: totalSteps, epoch: source.epoch, loss: loss,
      learningRate: options.optimizer.method.learningRate(rate, step: state.step), gradientNorm: norm, tokens: tokens,
      seconds: seconds, isLogged: state.step % options.logEvery == 0 || state.step == 1 || state.step == totalSteps)
  }

  /// Gathers the gradients of all batches, clips them together, and moves the parameters.
  private func move(_ batches: [Batch], count: Int, rate: Double) throws -> (sum: Double, loss: Double, norm: Double) {
    var sum = 0.0
    for batch in batches {
      let batchSum = try evaluated(batch)
      sum += try batchSum.item()
      try (batchSum / Double(max(count, 1))).backward()
    }
    var loss = sum / Double(max(count, 1))
    if let penalty = try part.companion?.penalty() {
      loss += try penalty.item()
      try penalty.backward()
    }
    let norm = try optimizer.gradientNorm()
    guard loss.isFinite, norm.isFinite else { throw try notFinite(loss, norm, batches, hasMoved: false) }
    let scale = Optimizer.clippingScale(norm: norm, limit: options.maxGradientNorm)
    try optimizer.update(learningRate: rate, gradientScale: scale)
    try part.companion?.stepped(state.step + 1, gradientScale: scale)
    try optimizer.clearGradients()
    return (sum, loss, norm)
  }

  /// Moves each parameter while the gradients of the others are computed. There is one batch.
  private func moveInBackward(_ batches: [Batch], count: Int, rate: Double) throws -> (sum: Double, loss: Double, norm: Double) {
    let total = try evaluated(batches[0])
    let sum = try total.item()
    let loss = sum / Double(max(count, 1))
    guard loss.isFinite else { throw try notFinite(loss, 0, batches, hasMoved: false) }
    let norm = try optimizer.update(learningRate: rate) { () throws(TorchError) in try (total / Double(max(count, 1))).backward()
    }
    guard norm.isFinite else { throw try notFinite(loss, norm, batches, hasMoved: true) }
    return (sum, loss, norm)
  }

  /// The sum of a batch's loss; notes what is reported beside it.
  private func evaluated(_ batch: Batch) throws -> Tensor {
    let pass = { [objective, model] in try objective.evaluate(batch, model: model) }
    let result = try activations.map { try keepingActivations($0.copy, during: pass) } ?? pass()
    report(result.figures)
    return result.loss
  }

  private func report(_ figures: Figures) {
    guard figures.values != nil else { return }
    var all = state.window.figures ?? Figures()
    all.add(figures)
    state.window.figures = all
  }

  private func notFinite(_ loss: Double, _ norm: Double, _ batches: [Batch], hasMoved: Bool) throws -> TrainingError {
    let diagnosis = NonFiniteDiagnosis(model: model, objective: objective, samples: source.samples)
    return try diagnosis.error(
      step: state.step + 1, loss: loss, norm: norm, batches: batches, optimizer: optimizer, hasMoved: hasMoved)
  }

  private func record(_ step: StepReport, in log: MetricsLog) throws {
    if step.isLogged {
      let window = state.window
      try log.append(
        MetricsRow(
          step: step.step, epoch: step.epoch, loss: window.lossSum / Double(max(1, window.count)),
          learningRate: step.learningRate, gradientNorm: step.gradientNorm, tokens: state.tokens,
          tokensPerSecond: Double(window.tokens) / max(window.seconds, 1e-9), peakMemoryBytes: ProcessMemory.peakBytes,
          figures: window.figures?.values))
      state.window = TrainingState.Window()
    }
    observe(.step(step))
  }

  private var bestFolder: URL { output.appending(path: "best") }

  /// Evaluates where it is time to, and keeps the best state.
  ///
  /// - Returns: whether the run should end.
  private func evaluateIfDue(_ log: MetricsLog) throws -> Bool {
    guard let evaluator, state.step > 0, state.evaluatedStep != state.step else { return false }
    let atEnd = state.step == totalSteps
    let due = options.evalEvery.map { state.step % $0 == 0 } ?? source.isAtEpochEnd
    guard due || atEnd, let result = try evaluator.evaluate(model, shouldStop: shouldStop) else { return false }
    guard result.loss.isFinite else {
      throw TrainingError(
        "step \(state.step): the evaluation loss is \(result.loss); the best state so far is in \(bestFolder.path)")
    }
    evalLoss = result.loss
    state.evaluatedStep = state.step
    let isBest = result.loss < (state.best?.loss ?? .infinity) - (options.earlyStopping?.minimumDelta ?? 0)
    if isBest {
      state.best = TrainingState.Best(loss: result.loss, step: state.step)
      state.evaluationsSinceBest = 0
      try part.save(to: bestFolder)
    } else {
      state.evaluationsSinceBest += 1
    }
    try log.append(
      MetricsRow(
        step: state.step, epoch: source.epoch, tokens: state.tokens, peakMemoryBytes: ProcessMemory.peakBytes,
        evalLoss: result.loss,
        evalTokens: result.count, evalFigures: result.figures.values))
    observe(.evaluated(step: state.step, loss: result.loss, isBest: isBest))
    guard let stopping = options.earlyStopping, state.evaluationsSinceBest >= stopping.patience, !atEnd else { return false }
    observe(.stoppedEarly(step: state.step))
    return true
  }

  private func saveIfDue() throws {
    guard let every = options.saveEvery, state.step % every == 0 else { return }
    try save()
  }
}
