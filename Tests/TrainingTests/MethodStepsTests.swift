import Checkpoints
import Datasets
import Foundation
import NN
import OrderedCollections
import Objectives
import TestSupport
import Testing
import Text
import Torch
import Training

@testable import Tuners

/// Ten optimizer steps of every method against PEFT's, from the same start.
@Suite struct MethodStepsTests {
  static let names = [
    "dora", "dora-gpt2", "pissa", "pissa-gpt2", "olora", "lora-plus", "lora-fa", "ia3", "ia3-qwen2", "ia3-gpt2", "ln-tuning",
    "ln-tuning-gpt2", "vera", "vera-gpt2", "loha", "lokr", "lokr-both", "adalora", "lora-embedding", "trainable-tokens",
    "trainable-tokens-tied", "lora-trainable-tokens",
  ]

  private func samples(_ count: Int) throws -> [EncodedSample] {
    let all = try Goldens.json("training/samples.json")["samples"]?.array ?? []
    return all.prefix(count).enumerated().map { index, sample in
      EncodedSample(
        ids: (sample["input_ids"]?.array ?? []).compactMap(\.int).map(Int32.init),
        trained: (sample["labels"]?.array ?? []).compactMap(\.int).map { $0 >= 0 },
        location: SourceLocation(file: "samples.json", line: index + 1), index: index)
    }
  }

  /// The adapter the reference started from. What recipes say and PEFT's files do not is put into its settings.
  private func start(_ name: String, in set: AdapterSet) throws -> Adapter {
    let folder = Goldens.url("methods/\(name)")
    let saved = try AdapterFolder.configuration(folder)
    guard var lora = saved as? LoRAConfiguration else { return try AdapterFolder.load(folder, into: set) }
    let initializations: [String: LoRAConfiguration.Initialization] = ["pissa": .pissa, "pissa-gpt2": .pissa, "olora": .olora]
    if let initialization = initializations[name] {
      // Saved as a plain LoRA of twice the rank.
      (lora.initialization, lora.r, lora.alpha) = (initialization, lora.r / 2, lora.alpha / 2)
      return try set.add(lora)
    }
    lora.rateRatio = name == "lora-plus" ? 4 : nil
    lora.freezesA = name == "lora-fa"
    let adapter = try set.add(lora)
    try AdapterFolder.restore(adapter, from: folder)
    return adapter
  }

  private func train(_ name: String, _ options: TrainingOptions) throws -> (losses: [Double], adapter: Adapter, set: AdapterSet) {
    let base = try #require(try AdapterFolder.baseModel(Goldens.url("methods/\(name)")))
    let set = try AdapterSet(try TinyModels.load(base))
    let adapter = try start(name, in: set)
    let folder = try TemporaryFolder()
    var losses: [Double] = []
    let trainer = try Trainer(
      model: set.model, part: adapter.tunedPart(base: base), objective: SupervisedFineTuning(),
      loader: try DataLoader(samples: try samples(20), batchSize: 2, order: .sequential), evalSamples: [], options: options,
      output: folder.url, observe: { if case .step(let report) = $0 { losses.append(report.loss) } })
    _ = try trainer.run(resuming: false)
    return (losses, adapter, set)
  }

  private var options: TrainingOptions {
    var options = TrainingOptions()
    (options.maxSteps, options.learningRate, options.schedule) = (10, 1e-2, .constant)
    (options.maxGradientNorm, options.saveEvery) = (nil, nil)
    return options
  }

  @Test(arguments: names) func everyLossIsTheReferences(_ name: String) throws {
    let steps = try Goldens.json("methods/\(name)/training.json")["steps"]?.array ?? []
    let (losses, _, _) = try train(name, options)
    #expect(losses.count == 10 && steps.count == 10)
    for (index, (own, theirs)) in zip(losses, steps).enumerated() {
      let loss = try #require(theirs["loss"]?.double)
      #expect(abs(own - loss) <= 1e-4, "step \(index + 1): loss \(own) in place of \(loss)")
    }
  }

  /// Two sharings out before the last one: steps 4 and 6, then 8.
  @Test func theRanksThatAreLeftAreTheReferences() throws {
    let (_, adapter, _) = try train("adalora", options)
    let trained = try Goldens.tensors("methods/adalora/trained/adapter_model.safetensors")
    #expect(Set(adapter.saved.map(\.name)) == Set(trained.names))
    for tensor in adapter.saved {
      #expect(try mismatch(try tensor.value(), try trained.tensor(tensor.name), absolute: 1e-4) == nil, "\(tensor.name)")
    }
    let config = try AdapterFolder.adapterConfig(adapter, base: "llama-tied")
    let reference = try Goldens.json("methods/adalora/trained/adapter_config.json")
    let pattern = try #require(reference["rank_pattern"]?.object)
    #expect(pattern.count == 6)
    for (path, kept) in pattern { #expect(config["rank_pattern"]?[path] == kept, "\(path)") }
  }

  /// A converted PiSSA is the plain LoRA that PEFT makes of its own, up to the signs of singular vectors: the products are the same.
  @Test(arguments: ["pissa", "pissa-gpt2", "olora"]) func whatStartsFromWeightsIsSavedAsPlainLoRA(_ name: String) throws {
    let (_, adapter, _) = try train(name, options)
    let reference = try Goldens.tensors("methods/\(name)/adapter_model.safetensors")
    let own = Dictionary(uniqueKeysWithValues: try adapter.saved.map { ($0.name, try $0.value()) })
    #expect(Set(own.keys) == Set(reference.names))
    for key in reference.names where key.hasSuffix("lora_A.weight") {
      let other = key.replacing("lora_A", with: "lora_B")
      let (a, b) = (try #require(own[key]), try #require(own[other]))
      let theirs = try reference.tensor(other).matmul(try reference.tensor(key))
      #expect(try mismatch(try b.detached().matmul(try a.detached()), theirs, absolute: 2e-4) == nil, "\(key)")
    }
    let config = try AdapterFolder.adapterConfig(adapter, base: "base")
    let json = try Goldens.json("methods/\(name)/adapter_config.json")
    #expect(config["r"] == json["r"] && config["lora_alpha"]?.double == json["lora_alpha"]?.double)
    #expect(config["init_lora_weights"] == true)
  }
}
