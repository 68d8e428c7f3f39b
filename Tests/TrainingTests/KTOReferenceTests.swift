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

/// Answers with labels against TRL's KTOTrainer, and by hand.
@Suite struct KTOReferenceTests {
  private let golden: JSON

  init() throws { golden = try Goldens.json("kto/runs.json") }

  private func samples() -> [EncodedSample] {
    (golden["answers"]?.array ?? []).enumerated().map { index, row in
      let ids = { (key: String) in (row[key]?.array ?? []).compactMap(\.int).map(Int32.init) }
      let (prompt, answer) = (ids("prompt"), ids("completion"))
      var sample = EncodedSample(
        ids: prompt + answer, trained: prompt.map { _ in false } + answer.map { _ in true },
        location: SourceLocation(file: "runs.json", line: index + 1), index: index)
      sample.grade = row["label"]?.bool == true ? 1 : 0
      return sample
    }
  }

  private func objective(_ settings: JSON?) throws -> KTO {
    var objective = KTO()
    objective.beta = settings?["beta"]?.double ?? objective.beta
    objective.desirableWeight = settings?["desirable_weight"]?.double ?? objective.desirableWeight
    objective.undesirableWeight = settings?["undesirable_weight"]?.double ?? objective.undesirableWeight
    if let name = settings?["loss_type"]?.string { objective.loss = try #require(KTO.Loss(rawValue: name)) }
    return objective
  }

  @Test func stepsAreTheReferences() throws {
    let runs = try #require(golden["runs"]?.object)
    #expect(runs.count == 5)
    let batchSize = golden["batch_size"]?.int ?? 0
    for (name, run) in runs {
      let folder = try TemporaryFolder()
      let set = try AdapterSet(try TinyModels.load("llama-tied"))
      let adapter = try AdapterFolder.load(Goldens.url("preference/adapter"), into: set)
      let objective = try objective(run["settings"])
      let prepared = objective.prepared(samples(), batchSize: batchSize, limit: 64)
      let measured = try #require(try prepared.measured(against: set.model, tokens: 40))
      var options = TrainingOptions()
      options.learningRate = golden["learning_rate"]?.double ?? 0
      (options.schedule, options.logEvery) = (.constant, 1)
      let loader = try DataLoader(samples: measured, batchSize: batchSize, order: .sequential, epochs: 1)
      let trainer = try Trainer(
        model: set.model, part: adapter.tunedPart(base: "llama-tied"), objective: objective, loader: loader, evalSamples: [],
        options: options, output: folder.url)
      let rows = try trainer.run(resuming: false).rows
      let steps = try #require(run["steps"]?.array)
      #expect(rows.count == 8 && steps.count == 8)
      for (row, step) in zip(rows, steps) {
        var found = try #require(row.figures)
        found["loss"] = row.loss
        // Without z₀ there is none to report.
        let wanted = (step.object ?? [:]).filter { objective.loss == .kto || $0.key != "kl" }
        #expect(Set(found.keys) == Set(wanted.keys), "\(name), step \(row.step)")
        for (key, value) in wanted {
          let expected = try #require(value.double)
          #expect(abs(try #require(found[key]) - expected) <= 1e-4 * max(1, abs(expected)), "\(name), step \(row.step): \(key)")
        }
      }
    }
  }

  /// Ratios 2 (good) and 1 (bad) with β 0.5 and z₀ = 1, by hand: 1 − σ(0.5) = 0.377541; 1 − σ(0) = 0.5. With weights 2 and 3:
  /// 0.755081 and 1.5. The gradient of the good one is −β·σ(0.5)·σ(−0.5) = −0.117502, that of the bad one β/4 = 0.125.
  @Test func lossesAndGradientsAreThoseByHand() throws {
    let ratios = try Tensor([2, 1] as [Float])
    var objective = KTO()
    objective.beta = 0.5
    let result = try differentiate([ratios], cotangent: try .ones([2])) {
      try objective.losses($0[0], [true, false], from: 1)
    }
    try assertClose(result.value, [0.377541, 0.5])
    try assertClose(try #require(result.gradients[0]), [-0.117502, 0.125])
    (objective.desirableWeight, objective.undesirableWeight) = (2, 3)
    try assertClose(try objective.losses(ratios, [true, false], from: 1), [0.755081, 1.5])
  }

  @Test func eachPromptGetsTheAnswerBeforeIt() throws {
    let rows = samples().prefix(7)
    let prepared = KTO().prepared(Array(rows), batchSize: 3, limit: 1000)
    #expect(prepared.count == 14 && prepared.map(\.rank) == (0..<14).map { $0 % 2 })
    func answer(_ sample: EncodedSample) -> [Int32] { zip(sample.ids, sample.trained).filter(\.1).map(\.0) }
    func prompt(_ sample: EncodedSample) -> [Int32] { zip(sample.ids, sample.trained).filter { !$0.1 }.map(\.0) }
    // Three, and then four: one that is left over would have no other.
    for (place, other) in [2, 0, 1, 6, 3, 4, 5].enumerated() {
      let mismatched = prepared[2 * place + 1]
      #expect(prompt(mismatched) == prompt(rows[place]) && answer(mismatched) == answer(rows[other]), "\(place)")
      #expect(mismatched.grade == nil && prepared[2 * place].grade != nil)
    }
    var plain = KTO()
    plain.loss = .apoZeroUnpaired
    #expect(plain.prepared(Array(rows), batchSize: 3, limit: 1000) == Array(rows))
  }
}
