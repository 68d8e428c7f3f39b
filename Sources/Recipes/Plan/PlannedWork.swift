import Datasets
import Objectives
import Training

/// The batches that a plan goes through, and how much work there is in all.
struct PlannedWork {
  /// Batches to go through, the largest among them, in an order that a run may have.
  let batches: [Batch]
  /// The largest batch of an evaluation, or of what a reference is measured on.
  let evaluation: Batch?
  /// The largest.
  let largest: PlannedBatch
  /// Optimizer steps in all; nil where the recipe does not say and the data were not read.
  let steps: Int?
  /// The work of a step on average: lengths of samples, and tokens that are predicted.
  let stepLengths: [Int]
  let stepTargets: Int
  /// Tokens of all samples.
  let tokens: Int

  /// Of data, or of samples as long as they may be.
  static func of(_ recipe: Recipe, _ data: RunData?, contextLength: Int) throws -> PlannedWork {
    try data.map { try measured(recipe, $0) } ?? assumed(recipe, contextLength: contextLength)
  }

  private static func measured(_ recipe: Recipe, _ data: RunData) throws -> PlannedWork {
    let loader = try recipe.loader(data.training)
    var walk = loader
    // The first batch stands for those that come before the largest.
    let batches = [walk.next(), loader.largestBatch].compactMap(\.self)
    let objective = recipe.objective.objective
    let all = data.training.samples
    let passed = data.evaluation?.samples ?? (objective.needsReference ? all : [])
    let options = recipe.train.options
    let epochSteps = loader.stepCount(accumulating: options.gradientAccumulation)
    let perEpoch = max(1, loader.batchesInEpoch / max(1, options.gradientAccumulation))
    return PlannedWork(
      batches: batches, evaluation: passed.isEmpty ? nil : Evaluator(passed, objective: objective).largestBatch,
      largest: PlannedBatch(loader.largestBatch, isAssumed: false),
      steps: options.maxSteps.map { min($0, epochSteps ?? $0) } ?? epochSteps,
      stepLengths: stride(from: 0, to: all.count, by: perEpoch).map { all[$0].ids.count },
      stepTargets: all.reduce(0) { $0 + $1.targetCount } / perEpoch,
      tokens: (all + (data.evaluation?.samples ?? [])).reduce(0) { $0 + $1.ids.count })
  }

  private static func assumed(_ recipe: Recipe, contextLength: Int) -> PlannedWork {
    let length = max(2, min(recipe.data.encoding.maxLength ?? contextLength, contextLength))
    let answers = recipe.objective.objective.learnsFrom == .pairs ? 2 : 1
    let count = recipe.train.batchSize * answers
    func batch(of count: Int) -> Batch {
      let samples = (0..<count).map { sample($0, length: length, rank: $0 % answers) }
      return Batch(Array(samples.indices), of: samples)
    }
    let isMeasured = !recipe.data.eval.isEmpty || recipe.data.evalSplit != nil || recipe.objective.objective.needsReference
    let largest = batch(of: count)
    let accumulated = recipe.train.options.gradientAccumulation
    return PlannedWork(
      batches: [largest, largest], evaluation: isMeasured ? batch(of: max(answers, 4096 / length / answers * answers)) : nil,
      largest: PlannedBatch(largest, isAssumed: true), steps: recipe.train.options.maxSteps,
      stepLengths: Array(repeating: length, count: count * accumulated), stepTargets: (length - 1) * count * accumulated,
      tokens: 0)
  }

  private static func sample(_ index: Int, length: Int, rank: Int) -> EncodedSample {
    EncodedSample(
      ids: Array(repeating: 0, count: length), trained: Array(repeating: true, count: length),
      location: SourceLocation(file: "assumed", line: index + 1), index: index, rank: rank)
  }
}

extension PlannedBatch {
  fileprivate init(_ batch: Batch?, isAssumed: Bool) {
    self.init(
      samples: batch?.segmentLengths.count ?? 0, tokens: batch?.tokenCount ?? 0, longestSample: batch?.segmentLengths.max() ?? 0,
      isAssumed: isAssumed)
  }
}
