import Checkpoints
import Datasets
import Foundation
import NN
import Objectives
import TestSupport
import Testing
import Text
import Torch
import Training
import Tuners

/// Ten optimizer steps of virtual tokens against PEFT, from the same start.
@Suite struct SoftPromptRunTests {
  static let names = [
    "prompt-tuning-gpt2", "prompt-tuning-llama", "prompt-tuning-vocabulary", "prompt-tuning-text", "prompt-tuning-window",
    "p-tuning-mlp-gpt2", "p-tuning-mlp-qwen2", "p-tuning-lstm-llama", "prefix-tuning-gpt2", "prefix-tuning-llama",
    "prefix-tuning-qwen3", "prefix-tuning-window", "prefix-tuning-zero", "prefix-tuning-text", "prefix-projection-gpt2",
    "prefix-projection-llama", "multitask-llama",
  ]

  /// The run of a golden: the trainer, with the adapter and the losses PEFT had.
  private struct Run {
    let trainer: Trainer
    let adapter: Adapter
    let losses: [Double]
    let folder: TemporaryFolder

    init(
      _ name: String, folder: TemporaryFolder? = nil, change: (inout TrainingOptions) -> Void = { _ in },
      shouldStop: @escaping () -> Bool = { false }, observe: @escaping (TrainingEvent) -> Void = { _ in }
    ) throws {
      let json = try Goldens.json("soft-prompts/\(name)/run.json")
      let settings = try #require(json["settings"])
      self.folder = try folder ?? TemporaryFolder()
      losses = (json["losses"]?.array ?? []).compactMap(\.double)
      let start = try TemporaryFolder()
      try PEFTEncoder.write(name, to: start.url)
      let set = try AdapterSet(try TinyModels.load(try #require(settings["model"]?.string)))
      adapter = try AdapterFolder.load(start.url, into: set)
      var options = TrainingOptions()
      (options.maxSteps, options.learningRate) = (losses.count, settings["learning_rate"]?.double ?? 0)
      (options.schedule, options.maxGradientNorm, options.logEvery) = (.constant, nil, 1)
      options.optimizer = OptimizerOptions(AdamW())
      change(&options)
      let tasks = settings["sample_tasks"]?.array?.compactMap(\.int) ?? []
      trainer = try Trainer(
        model: set.model, part: TunedAdapter(adapter, base: name), objective: SupervisedFineTuning(),
        loader: try DataLoader(samples: try Self.samples(tasks), batchSize: 2, order: .sequential), evalSamples: [],
        options: options, output: self.folder.url, shouldStop: shouldStop, observe: observe)
    }

    /// The samples of the other goldens; the first token of none is learnt.
    private static func samples(_ tasks: [Int]) throws -> [EncodedSample] {
      (try Goldens.json("training/samples.json")["samples"]?.array ?? []).enumerated().map { index, sample in
        let ids = (sample["input_ids"]?.array ?? []).compactMap(\.int).map(Int32.init)
        let trained = (sample["labels"]?.array ?? []).compactMap(\.int).enumerated().map { $0.offset > 0 && $0.element >= 0 }
        return EncodedSample(
          ids: ids, trained: trained, location: SourceLocation(file: "samples.json", line: index + 1), index: index,
          source: tasks.isEmpty ? 0 : tasks[min(index, tasks.count - 1)])
      }
    }
  }

  @Test(arguments: names, [GradientCheckpointing.none, .full]) func everyLossIsPEFTs(name: String, mode: GradientCheckpointing)
    throws
  {
    let run = try Run(name, change: { $0.gradientCheckpointing = mode })
    let own = try run.trainer.run(resuming: false).rows.compactMap(\.loss)
    #expect(own.count == run.losses.count && run.losses.count == 10)
    for (step, (loss, theirs)) in zip(own, run.losses).enumerated() {
      #expect(abs(loss - theirs) <= 1e-4, "step \(step + 1): \(loss) in place of \(theirs)")
    }
    let saved = try TemporaryFolder()
    try AdapterFolder.save(run.adapter, base: "base", to: saved.url)
    let embeddings = try SafetensorsFile(saved.url.appending(path: AdapterFolder.weightsName)).tensor("prompt_embeddings")
    let theirs = try Goldens.tensors("soft-prompts/\(name)/expected.safetensors").tensor("trained_embeddings")
    try assertClose(embeddings, theirs, relative: 1e-3, absolute: 1e-3)
  }

  /// The encoder is in the checkpoint, beside what PEFT's files hold.
  @Test(arguments: [
    "prompt-tuning-gpt2", "p-tuning-mlp-qwen2", "p-tuning-lstm-llama", "prefix-projection-llama", "multitask-llama",
  ])
  func stoppedAndResumedEqualsUninterrupted(name: String) throws {
    func tensors(_ run: Run) throws -> [[UInt8]] { try run.adapter.parameters.map { try $0.value.withUnsafeBytes { Array($0) } } }
    let whole = try Run(name)
    let result = try whole.trainer.run(resuming: false)
    var done = 0
    let first = try Run(name, shouldStop: { done >= 4 }, observe: { if case .step(let report) = $0 { done = report.step } })
    #expect(throws: TrainingInterrupted.self) { try first.trainer.run(resuming: false) }
    let second = try Run(name, folder: first.folder)
    #expect(try second.trainer.run(resuming: true).rows.map(\.loss) == result.rows.map(\.loss))
    #expect(try tensors(second) == tensors(whole))
  }
}
