import Datasets
import Foundation
import NN
import Objectives
import TestSupport
import Text
import Torch
import Training
import Tuners

/// One of the runs that transformers' Trainer made, set up anew from its settings.
struct ReferenceRun {
  let json: JSON
  let folder: String
  let output: URL

  init(_ name: String) throws {
    json = try Goldens.json("training/\(name).json")
    folder = "training/\(name)"
    output = FileManager.default.temporaryDirectory.appending(path: "attune-run-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: output, withIntermediateDirectories: true)
  }

  func remove() { try? FileManager.default.removeItem(at: output) }

  var steps: [JSON] { json["steps"]?.array ?? [] }

  /// The samples in the order the reference saw them.
  func samples() throws -> [EncodedSample] {
    let settings = json["settings"]
    let all = try Goldens.json("training/samples.json")["samples"]?.array ?? []
    let chosen = settings?["samples"]?.int ?? all.count
    let masksFirst = settings?["first_label_masked"]?.bool ?? false
    return all.prefix(chosen).enumerated().map { index, sample in
      let ids = (sample["input_ids"]?.array ?? []).compactMap(\.int).map(Int32.init)
      var trained = (sample["labels"]?.array ?? []).compactMap(\.int).map { $0 >= 0 }
      if masksFirst, !trained.isEmpty { trained[0] = false }
      return EncodedSample(
        ids: ids, trained: trained, location: SourceLocation(file: "samples.json", line: index + 1), index: index)
    }
  }

  /// How long a packed row may be; nil where the reference did not pack.
  var packedLength: Int? { json["settings"]?["packed_length"]?.int }

  /// For each step the micro-batches, each the indices of its samples.
  var microBatches: [[[Int]]] {
    steps.map { step in
      (step["micro_batches"]?.array ?? []).map { batch in (batch.array ?? []).compactMap(\.int) }
    }
  }

  /// The training data as the run goes through them.
  func loader(packedLength: Int? = nil, order: BatchPlan.Order = .sequential) throws -> DataLoader {
    let length = packedLength ?? self.packedLength
    let batchSize = length == nil ? json["settings"]?["batch_size"]?.int ?? 2 : 1
    return try DataLoader(samples: try samples(), batchSize: batchSize, packedLength: length, order: order)
  }

  func options() -> TrainingOptions {
    let settings = json["settings"]
    var options = TrainingOptions()
    options.maxSteps = steps.count
    options.gradientAccumulation = settings?["accumulation"]?.int ?? 1
    options.learningRate = settings?["learning_rate"]?.double ?? 0
    options.schedule = Schedule.Kind(rawValue: settings?["schedule"]?.string ?? "") ?? .constant
    options.warmupSteps = settings?["warmup_steps"]?.int ?? 0
    options.optimizer = OptimizerOptions(AdamW { $0.weightDecay = settings?["weight_decay"]?.double ?? 0 })
    options.maxGradientNorm = settings?["max_grad_norm"]?.double
    options.logEvery = 1
    return options
  }

  /// A fresh model with the reference's starting adapter, and the trainer of the run.
  func trainer(
    packedLength: Int? = nil, change: (inout TrainingOptions) -> Void = { _ in }, evalSamples: [EncodedSample] = [],
    dropout: Double = 0, order: BatchPlan.Order = .sequential, dtype: DType = .float32,
    shouldStop: @escaping () -> Bool = { false },
    observe: @escaping (TrainingEvent) -> Void = { _ in }
  ) throws -> (trainer: Trainer, adapter: Adapter) {
    let base = String(folder.split(separator: "/")[1])
    let adapters = try AdapterSet(try TinyModels.load(base, dtype: dtype))
    let start = Goldens.url("training/\(base)/initial_adapter")
    var adapter = try AdapterFolder.load(start, into: adapters)
    if dropout > 0, var configuration = adapter.configuration as? LoRAConfiguration {
      configuration.dropout = dropout
      try adapters.remove("default")
      adapter = try adapters.add(configuration)
      try AdapterFolder.restore(adapter, from: start)
    }
    var options = options()
    change(&options)
    let trainer = try Trainer(
      model: adapters.model, part: TunedAdapter(adapter, base: base), objective: SupervisedFineTuning(),
      loader: try loader(packedLength: packedLength, order: order), evalSamples: evalSamples, options: options, output: output,
      shouldStop: shouldStop, observe: observe)
    return (trainer, adapter)
  }
}
