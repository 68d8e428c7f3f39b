import Datasets
import Foundation
import NN
import Objectives
import TestSupport
import Testing
import Text
import Torch
import Training

@testable import Tuners

/// Ten optimizer steps of adapters against AdapterHub's, from the same start, with what is below them frozen.
@Suite struct AdapterHubStepsTests {
  static let names = [
    "pfeiffer", "pfeiffer-gpt2", "pfeiffer-mistral", "pfeiffer-qwen2", "houlsby", "houlsby-gpt2", "houlsby-qwen3", "parallel",
    "parallel-gpt2", "scaled-parallel", "channel-scaled", "compacter", "compacter-gpt2", "compacter-own-rules", "stack",
    "stack-gpt2", "fusion", "fusion-gpt2", "invertible", "invertible-stack",
  ]

  private func samples() throws -> [EncodedSample] {
    let all = try Goldens.json("training/samples.json")["samples"]?.array ?? []
    return all.prefix(20).enumerated().map { index, sample in
      EncodedSample(
        ids: (sample["input_ids"]?.array ?? []).compactMap(\.int).map(Int32.init),
        trained: (sample["labels"]?.array ?? []).compactMap(\.int).map { $0 >= 0 },
        location: SourceLocation(file: "samples.json", line: index + 1), index: index)
    }
  }

  @Test(arguments: names) func everyLossIsTheReferences(_ name: String) throws {
    let golden = try Goldens.json("adapterhub/\(name)/training.json")
    let (settings, steps) = (try #require(golden["settings"]), try #require(golden["steps"]?.array))
    let base = try #require(settings["model"]?.string)
    let set = try AdapterSet(try TinyModels.load(base))
    let folder = Goldens.url("adapterhub/\(name)")
    let names = (settings["adapters"]?.array ?? []).compactMap(\.string)
    let isFused = settings["fused"]?.bool == true
    let adapters =
      try isFused
      ? [AdapterFolder.load(folder, into: set)]
      : names.map {
        try AdapterFolder.load(folder.appending(path: $0), into: set, named: $0)
      }
    try set.activate(adapters.map(\.name))
    var options = TrainingOptions()
    (options.maxSteps, options.schedule) = (10, .constant)
    options.learningRate = try #require(settings["learning_rate"]?.double)
    (options.maxGradientNorm, options.saveEvery) = (nil, nil)
    let output = try TemporaryFolder()
    var losses: [Double] = []
    let trainer = try Trainer(
      model: set.model, part: try #require(adapters.last).tunedPart(base: base), objective: SupervisedFineTuning(),
      loader: try DataLoader(samples: try samples(), batchSize: 2, order: .sequential), evalSamples: [], options: options,
      output: output.url, observe: { if case .step(let report) = $0 { losses.append(report.loss) } })
    _ = try trainer.run(resuming: false)
    #expect(losses.count == 10 && steps.count == 10)
    for (index, (own, theirs)) in zip(losses, steps).enumerated() {
      let loss = try #require(theirs["loss"]?.double)
      #expect(abs(own - loss) <= 1e-4, "step \(index + 1): loss \(own) in place of \(loss)")
    }
  }
}
