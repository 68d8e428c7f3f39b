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

/// Preference objectives against TRL: losses, rewards and log-probabilities of runs on a tiny model, and losses of fixed numbers.
@Suite struct PreferenceReferenceTests {
  private let golden: JSON

  init() throws { golden = try Goldens.json("preference/runs.json") }

  private func samples() throws -> [EncodedSample] {
    let ids = { (json: JSON?) in (json?.array ?? []).compactMap(\.int).map(Int32.init) }
    return (golden["pairs"]?.array ?? []).enumerated().flatMap { index, pair in
      ["chosen", "rejected"].enumerated().map { rank, key in
        let (prompt, answer) = (ids(pair["prompt"]), ids(pair[key]))
        return EncodedSample(
          ids: prompt + answer, trained: prompt.map { _ in false } + answer.map { _ in true },
          location: SourceLocation(file: "runs.json", line: index + 1), index: index, rank: rank)
      }
    }
  }

  /// The settings of a run as TRL has them.
  private func settings(_ json: JSON?) throws -> PreferenceSettings {
    var settings = PreferenceSettings()
    settings.beta = json?["beta"]?.double ?? settings.beta
    settings.labelSmoothing = json?["label_smoothing"]?.double ?? 0
    let names = (json?["loss_type"]?.array ?? []).compactMap(\.string)
    let weights = (json?["loss_weights"]?.array ?? []).compactMap(\.double)
    if !names.isEmpty {
      settings.losses = try names.enumerated().map { place, name in
        PreferenceSettings.Weighted(
          try #require(PreferenceLoss(rawValue: name)), weight: weights.isEmpty ? 1 : weights[place])
      }
    }
    switch json?["f_divergence_type"]?.string {
    case "forward_kl": settings.divergence = .forwardKL
    case "js_divergence": settings.divergence = .jensenShannon
    case "alpha_divergence": settings.divergence = .alpha(json?["f_alpha_divergence_coef"]?.double ?? 0)
    default: break
    }
    return settings
  }

  @Test func stepsAreTheReferences() throws {
    let runs = try #require(golden["runs"]?.object)
    #expect(runs.count == 20)
    let covered = try runs.values.flatMap { try settings($0["settings"]).losses.map(\.loss) }
    #expect(Set(covered) == Set(PreferenceLoss.allCases))
    for (name, run) in runs {
      let folder = try TemporaryFolder()
      let set = try AdapterSet(try TinyModels.load("llama-tied"))
      let adapter = try AdapterFolder.load(Goldens.url("preference/adapter"), into: set)
      let measured = try #require(try samples().measured(against: set.model, tokens: 40))
      var options = TrainingOptions()
      options.learningRate = golden["learning_rate"]?.double ?? 0
      options.schedule = .constant
      options.maxGradientNorm = 1
      options.logEvery = 1
      let loader = try DataLoader(
        samples: measured, batchSize: golden["batch_size"]?.int ?? 0, order: .sequential, epochs: 1)
      let trainer = try Trainer(
        model: set.model, part: adapter.tunedPart(base: "llama-tied"), objective: DirectPreference(try settings(run["settings"])),
        loader: loader, evalSamples: [], options: options, output: folder.url)
      let rows = try trainer.run(resuming: false).rows
      let steps = try #require(run["steps"]?.array)
      #expect(rows.count == steps.count)
      for (row, step) in zip(rows, steps) {
        let loss = try #require(step["loss"]?.double)
        #expect(abs(try #require(row.loss) - loss) <= 1e-4 * max(1, abs(loss)), "\(name), step \(row.step)")
        let figures = try #require(row.figures)
        #expect(figures.count == 6)
        for (key, value) in figures {
          let expected = try #require(step[key]?.double, "\(key)")
          #expect(abs(value - expected) <= 1e-4 * max(1, abs(expected)), "\(name), step \(row.step): \(key)")
        }
      }
    }
  }

  @Test func lossesWithoutAReferenceAreTheReferences() throws {
    let golden = try Goldens.json("preference/losses.json")
    let numbers = { (json: JSON?) in try Tensor((json?.array ?? []).compactMap(\.double).map(Float.init)) }
    let count = try numbers(golden["chosen"]).shape[0]
    for item in golden["cases"]?.array ?? [] {
      for pair in 0..<count {
        let one = { (json: JSON?) in try numbers(json).narrowed(0, pair..<pair + 1) }
        let chosen = try one(golden["chosen"])
        let tokens = (try one(golden["tokens"]?["chosen"]), try one(golden["tokens"]?["rejected"]))
        let pairs = AnswerPairs(
          chosen: chosen, rejected: try one(golden["rejected"]),
          references: (try Tensor.zeros([1]), try Tensor.zeros([1])), lengths: tokens, chosenTokens: Int(try tokens.0.item()))
        let kind = item["kind"]?.string ?? ""
        var objective = ReferenceFreePreference(kind == "sigmoid" ? .cpo : kind == "simpo" ? .simpo : .orpo)
        objective.beta = item["beta"]?.double ?? 0
        objective.labelSmoothing = item["label_smoothing"]?.double ?? 0
        // TRL's function has no cross-entropy in it.
        let crossEntropy = kind == "simpo" ? 0 : -(try chosen.item()) / (try tokens.0.item())
        let expected = try #require(item["losses"]?.array?[pair].double) + crossEntropy
        #expect(abs(try objective.loss(pairs).item() - expected) <= 1e-5 * max(1, abs(expected)), "\(kind), pair \(pair)")
      }
    }
  }

  /// What a step changes is the same whether pairs are in one batch or gathered, since sums are divided together.
  @Test func accumulationChangesNothing() throws {
    func losses(batchSize: Int, accumulating: Int) throws -> [Double] {
      let folder = try TemporaryFolder()
      let set = try AdapterSet(try TinyModels.load("llama-tied"))
      let adapter = try AdapterFolder.load(Goldens.url("preference/adapter"), into: set)
      var options = TrainingOptions()
      (options.learningRate, options.gradientAccumulation, options.logEvery) = (1e-2, accumulating, 1)
      let loader = try DataLoader(
        samples: try #require(try samples().measured(against: set.model)), batchSize: batchSize, order: .sequential, epochs: 1)
      let trainer = try Trainer(
        model: set.model, part: adapter.tunedPart(base: "x"), objective: DirectPreference(), loader: loader, evalSamples: [],
        options: options, output: folder.url)
      return try trainer.run(resuming: false).rows.compactMap(\.loss)
    }
    let (whole, gathered) = (try losses(batchSize: 6, accumulating: 1), try losses(batchSize: 2, accumulating: 3))
    #expect(whole.count == 3 && zip(whole, gathered).allSatisfy { abs($0 - $1) < 1e-5 })
  }

  /// A list of answers has the loss of all its pairs, each of which would take two passes of its own.
  @Test func aRankingIsAllItsPairs() throws {
    let model = try TinyModels.load("llama-tied")
    func sample(_ answer: [Int32], rank: Int, grade: Double?) -> EncodedSample {
      var sample = EncodedSample(
        ids: [5, 6] + answer, trained: [false, false] + answer.map { _ in true }, location: SourceLocation(file: "x", line: 1),
        index: 0, rank: rank)
      (sample.grade, sample.reference) = (grade, -3 - Double(answer[0]))
      return sample
    }
    let (answers, scores) = ([[7, 8], [9], [10, 11, 12], [13]] as [[Int32]], [4, 2.5, 1, 1])
    for grades in [nil, scores] {
      let list = answers.indices.map { sample(answers[$0], rank: $0, grade: grades?[$0]) }
      var pairs: [EncodedSample] = []
      for worse in answers.indices {
        for better in 0..<worse where grades == nil || scores[better] != scores[worse] {
          let margin = grades.map { $0[better] - $0[worse] }
          pairs += [sample(answers[better], rank: 0, grade: margin), sample(answers[worse], rank: 1, grade: nil)]
        }
      }
      try model.setScoreHead(.reward, deviation: 1)
      for objective in [DirectPreference(), ReferenceFreePreference(.simpo), ReferenceFreePreference(.cpo), RewardModeling()]
        as [any Objective]
      {
        let (whole, apart) = (Batch(Array(list.indices), of: list), Batch(Array(pairs.indices), of: pairs))
        #expect(objective.count(whole) == (grades == nil ? 6 : 5) && objective.count(apart) == objective.count(whole))
        let losses = try withoutGradients { () throws in
          (try objective.lossSum(whole, model: model).item(), try objective.lossSum(apart, model: model).item())
        }
        #expect(abs(losses.0 - losses.1) < 1e-4 * abs(losses.1), "\(objective.name)")
      }
    }
  }
}
