import Datasets
import Foundation
import NN
import OrderedCollections
import TestSupport
import Testing
import Text
import Torch
import Training
import Tuners

@testable import Objectives

/// Reward modelling against TRL: losses and figures of runs on a tiny model; and by hand.
@Suite struct RewardReferenceTests {
  private let golden: JSON

  init() throws { golden = try Goldens.json("reward/runs.json") }

  private func samples(margins: Bool) -> [EncodedSample] {
    (golden["pairs"]?.array ?? []).enumerated().flatMap { index, pair in
      ["chosen", "rejected"].enumerated().map { rank, key in
        let ids = (pair[key]?.array ?? []).compactMap(\.int).map(Int32.init)
        var sample = EncodedSample(
          ids: ids, trained: ids.map { _ in true }, location: SourceLocation(file: "runs.json", line: index + 1), index: index,
          rank: rank)
        if margins, rank == 0 { sample.grade = pair["margin"]?.double }
        return sample
      }
    }
  }

  private func adapter(_ set: AdapterSet) throws -> Adapter { try AdapterFolder.load(Goldens.url("reward/adapter"), into: set) }

  @Test func stepsAreTheReferences() throws {
    let runs = try #require(golden["runs"]?.object)
    #expect(runs.count == 4)
    for (name, run) in runs {
      let folder = try TemporaryFolder()
      let set = try AdapterSet(try TinyModels.load("llama-tied"))
      let adapter = try adapter(set)
      #expect(adapter.hasScoreHead)
      var options = TrainingOptions()
      options.learningRate = golden["learning_rate"]?.double ?? 0
      (options.schedule, options.logEvery) = (.constant, 1)
      var objective = RewardModeling()
      objective.centerRewardsCoefficient = run["settings"]?["center_rewards_coefficient"]?.double
      let loader = try DataLoader(
        samples: samples(margins: run["margins"]?.bool == true), batchSize: golden["batch_size"]?.int ?? 0, order: .sequential,
        epochs: 1)
      let trainer = try Trainer(
        model: set.model, part: adapter.tunedPart(base: "llama-tied"), objective: objective, loader: loader, evalSamples: [],
        options: options, output: folder.url)
      let rows = try trainer.run(resuming: false).rows
      let steps = try #require(run["steps"]?.array)
      #expect(rows.count == 20 && steps.count == 20)
      for (row, step) in zip(rows, steps) {
        var found = try #require(row.figures)
        #expect(found.keys.sorted() == ["accuracy", "margin", "mean_reward"])
        found["loss"] = row.loss
        for (key, value) in found {
          let expected = try #require(step[key]?.double, "\(key)")
          #expect(abs(value - expected) <= 1e-4 * max(1, abs(expected)), "\(name), step \(row.step): \(key)")
        }
      }
    }
  }

  /// Two pairs with scores 2 and 1, and −1 and 0.5, worked out by hand:
  /// −ln σ(1) = 0.313262, −ln σ(−1.5) = 1.701413; with margins 0.5 and 0: −ln σ(0.5) = 0.474077;
  /// with 0.1·(r_c + r_r)²: 0.9 and 0.025 more. Gradients by r_c: −σ(−1) = −0.268941, −σ(1.5) = −0.817574.
  @Test func lossesAndGradientsAreThoseByHand() throws {
    let (chosen, rejected) = (try Tensor([2, -1] as [Float]), try Tensor([1, 0.5] as [Float]))
    var objective = RewardModeling()
    let none = try Tensor.zeros([2])
    let plain = try differentiate([chosen, rejected], cotangent: try .ones([2])) {
      try objective.losses($0[0], $0[1], margins: none)
    }
    try assertClose(plain.value, [0.313262, 1.701413], absolute: 1e-6)
    try assertClose(try #require(plain.gradients[0]), [-0.268941, -0.817574], absolute: 1e-6)
    try assertClose(try #require(plain.gradients[1]), [0.268941, 0.817574], absolute: 1e-6)
    let margins = try Tensor([0.5, 0] as [Float])
    try assertClose(try objective.losses(chosen, rejected, margins: margins), [0.474077, 1.701413], absolute: 1e-6)
    objective.centerRewardsCoefficient = 0.1
    try assertClose(try objective.losses(chosen, rejected, margins: none), [1.213262, 1.726413], absolute: 1e-6)
  }

  /// What a step changes is the same whether pairs are in one batch or gathered, and packed or not.
  @Test func accumulationChangesNothing() throws {
    func losses(batchSize: Int, accumulating: Int) throws -> [Double] {
      let folder = try TemporaryFolder()
      let set = try AdapterSet(try TinyModels.load("llama-tied"))
      let adapter = try adapter(set)
      var options = TrainingOptions()
      (options.learningRate, options.gradientAccumulation, options.logEvery) = (1e-3, accumulating, 1)
      let loader = try DataLoader(samples: samples(margins: true), batchSize: batchSize, order: .sequential, epochs: 1)
      let trainer = try Trainer(
        model: set.model, part: adapter.tunedPart(base: "x"), objective: RewardModeling(), loader: loader, evalSamples: [],
        options: options, output: folder.url)
      return try trainer.run(resuming: false).rows.compactMap(\.loss)
    }
    let (whole, gathered) = (try losses(batchSize: 12, accumulating: 1), try losses(batchSize: 4, accumulating: 3))
    #expect(whole.count == 5 && zip(whole, gathered).allSatisfy { abs($0 - $1) < 1e-5 })
  }
}
