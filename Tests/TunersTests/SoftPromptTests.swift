import Checkpoints
import Foundation
import NN
import OrderedCollections
import TestSupport
import Testing
import Text
import Torch

@testable import Tuners

/// Virtual tokens that PEFT learnt, against the logits PEFT gives with them.
@Suite struct SoftPromptTests {
  static let names = [
    "prompt-tuning-gpt2", "prompt-tuning-llama", "prompt-tuning-vocabulary", "prompt-tuning-text", "prompt-tuning-window",
    "p-tuning-mlp-gpt2", "p-tuning-mlp-qwen2", "p-tuning-lstm-llama", "prefix-tuning-gpt2", "prefix-tuning-llama",
    "prefix-tuning-qwen3", "prefix-tuning-window", "prefix-tuning-zero", "prefix-tuning-text", "prefix-projection-gpt2",
    "prefix-projection-llama", "multitask-llama",
  ]

  private func set(_ name: String) throws -> AdapterSet {
    let run = try Goldens.json("soft-prompts/\(name)/run.json")
    return try AdapterSet(try TinyModels.load(try #require(run["settings"]?["model"]?.string)))
  }

  private func rows(_ expected: SafetensorsFile) throws -> [[Int32]] {
    let ids = try expected.tensor("input_ids")
    return try (0..<ids.shape[0]).map { try ids.selected(0, $0).array(Int64.self).map(Int32.init) }
  }

  /// The logits of rows laid end to end, [B, S, V].
  private func logits(_ model: any CausalLM, _ rows: [[Int32]], tasks: [Int] = []) throws -> Tensor {
    var input = try ModelInput(
      flat: rows.flatMap { $0 }, positions: rows.flatMap { 0..<Int32($0.count) }, segments: rows.map(\.count), filledTo: 32)
    input.tasks = tasks
    let count = rows.count * rows[0].count
    return try withoutGradients { () throws in
      try model.logits(input).narrowed(1, 0..<count).reshaped(rows.count, rows[0].count, -1)
    }
  }

  @Test(arguments: names) func givesThePEFTLogits(name: String) throws {
    let set = try set(name)
    let expected = try Goldens.tensors("soft-prompts/\(name)/expected.safetensors")
    let rows = try rows(expected)
    let before = try logits(set.model, rows)
    try AdapterFolder.load(Goldens.url("soft-prompts/\(name)"), into: set)
    let tasks = try Goldens.json("soft-prompts/\(name)/run.json")["settings"]?["logits_tasks"]?.array?.compactMap(\.int) ?? []
    try assertClose(try logits(set.model, rows, tasks: tasks), try expected.tensor("logits"), relative: 0, absolute: 1e-4)
    try set.activate([])
    let off = try logits(set.model, rows)
    #expect(try off.isEqual(to: before), "with the adapter off the model is what it was")
    try assertClose(off, try expected.tensor("base_logits"), relative: 0, absolute: 1e-4)
  }

  /// What is saved is what PEFT saves: the same tensors, the same settings but those that only say how it began.
  @Test(arguments: names) func savesWhatPEFTSaves(name: String) throws {
    let set = try set(name)
    let url = Goldens.url("soft-prompts/\(name)")
    let adapter = try AdapterFolder.load(url, into: set)
    let folder = try TemporaryFolder()
    let base = try #require(try AdapterFolder.baseModel(url))
    try AdapterFolder.save(adapter, base: base, to: folder.url)
    let (own, theirs) = (
      try SafetensorsFile(folder.url.appending(path: AdapterFolder.weightsName)),
      try SafetensorsFile(url.appending(path: AdapterFolder.weightsName))
    )
    #expect(own.names.sorted() == theirs.names.sorted())
    for tensor in theirs.names { #expect(try own.tensor(tensor).isEqual(to: try theirs.tensor(tensor)), "\(tensor)") }
    let saved = try #require(try JSON(parsing: Data(contentsOf: folder.url.appending(path: AdapterFolder.configName))).object)
    let config = try #require(try JSON(parsing: Data(contentsOf: url.appending(path: AdapterFolder.configName))).object)
    for (key, value) in config where !["peft_version", "modules_to_save", "tokenizer_kwargs"].contains(key) {
      #expect(saved[key] == value || (value.double != nil && saved[key]?.double == value.double), "\(key)")
    }
    #expect(Set(saved.keys).isSubset(of: config.keys))
  }

  /// An encoder goes through Attune's own file, and comes back to the bit.
  @Test(arguments: names.filter { $0.hasPrefix("p-tuning") || $0.hasPrefix("prefix-projection") })
  func keepsTheEncoder(name: String) throws {
    let folder = try TemporaryFolder()
    try PEFTEncoder.write(name, to: folder.url)
    let set = try set(name)
    let adapter = try AdapterFolder.load(folder.url, into: set)
    #expect(adapter.parameters.count > 4 && adapter.parameters.allSatisfy { $0.path.hasPrefix("prompt_encoder.") })
    let expected = try Goldens.tensors("soft-prompts/\(name)/expected.safetensors")
    try assertClose(try logits(set.model, try rows(expected)), try expected.tensor("logits"), relative: 0, absolute: 1e-4)
    let again = try TemporaryFolder()
    try AdapterFolder.save(adapter, base: "base", to: again.url)
    for file in [AdapterFolder.stateName, AdapterFolder.weightsName] {
      let (own, theirs) = (
        try SafetensorsFile(again.url.appending(path: file)), try SafetensorsFile(folder.url.appending(path: file))
      )
      #expect(own.names.sorted() == theirs.names.sorted())
      for tensor in theirs.names {
        try assertClose(try own.tensor(tensor), try theirs.tensor(tensor), relative: 0, absolute: 1e-6)
      }
    }
  }

  @Test func beginsAsPEFTDoes() throws {
    let files = try ["tokenizer.json", "tokenizer_config.json"].map { Array(try Data(contentsOf: Goldens.url("cli/\($0)"))) }
    let tokenizer = try BPETokenizer(tokenizerJSON: files[0], configJSON: files[1])
    var tuning = PromptTuning()
    (tuning.virtualTokenCount, tuning.start, tuning.text) = (4, .text, "Say whether the review is good or bad.")
    tuning.prepare(tokenizer: tokenizer, of: "llama-tied")
    var prefix = PrefixTuning()
    (prefix.virtualTokenCount, prefix.start, prefix.text) = (5, .text, tuning.text)
    prefix.prepare(tokenizer: tokenizer, of: "llama-tied")
    for (name, method) in [("prompt-tuning-text", tuning as any TuningMethod), ("prefix-tuning-text", prefix)] {
      let adapter = try set(name).add(method)
      let expected = try Goldens.tensors("soft-prompts/\(name)/\(AdapterFolder.weightsName)").tensor("prompt_embeddings")
      try assertClose(adapter.parameters[0].value, expected, relative: 0, absolute: 1e-5)
    }
    var zero = PrefixTuning()
    zero.start = .zero
    #expect(try set("prefix-tuning-zero").add(zero).parameters[0].value.abs().max().item() == 0)
  }

  @Test func beginsAsTokensOfTheVocabulary() throws {
    let set = try set("prompt-tuning-llama")
    let table = set.model.embedding.weight
    let adapter = try set.add(PromptTuning())
    let rows = adapter.parameters[0].value
    #expect(rows.shape == [20, 32] && adapter.parameterCount == 640)
    var found: Set<Int> = []
    for row in 0..<20 {
      let distances = try (try table - rows.selected(0, row)).abs().max(1)
      #expect(try distances.min().item() == 0)
      found.insert(Int(try (try -distances).argmax().item()))
    }
    #expect(found.count > 10, "\(found.count) different tokens")
  }

  @Test func severalOnOneModel() throws {
    let set = try set("prompt-tuning-llama")
    let names = ["prompt-tuning-llama", "prefix-tuning-llama", "p-tuning-lstm-llama"]
    let expected = try names.map { try Goldens.tensors("soft-prompts/\($0)/expected.safetensors") }
    for name in names { try AdapterFolder.load(Goldens.url("soft-prompts/\(name)"), into: set, named: name) }
    for (name, expected) in zip(names, expected).reversed() {
      try set.activate([name])
      try assertClose(try logits(set.model, try rows(expected)), try expected.tensor("logits"), relative: 0, absolute: 1e-4)
    }
    try set.activate(names)
    #expect(set.model.prompts.count == 14 && set.model.tokenLimit == 50)
    let together = try logits(set.model, try rows(expected[0]))
    #expect(try mismatch(together, try expected[0].tensor("logits"), absolute: 0.1) != nil)
    for name in names { try set.remove(name) }
    #expect(set.model.prompts.installed.isEmpty)
    try assertClose(
      try logits(set.model, try rows(expected[0])), try expected[0].tensor("base_logits"), relative: 0, absolute: 1e-4)
  }

  @Test func onABfloat16Base() throws {
    for name in ["prompt-tuning-llama", "prefix-projection-llama"] {
      let set = try AdapterSet(try TinyModels.load("llama-tied", dtype: .bfloat16))
      let adapter = try AdapterFolder.load(Goldens.url("soft-prompts/\(name)"), into: set)
      #expect(adapter.parameters.allSatisfy { $0.value.dtype == .float32 })
      let expected = try Goldens.tensors("soft-prompts/\(name)/expected.safetensors")
      let wanted = try expected.tensor("logits")
      let difference = try (try logits(set.model, try rows(expected)).to(.float32) - wanted).norm().item()
      #expect(difference < 0.05 * (try wanted.norm().item()), "\(name): off by \(difference)")
    }
  }

  @Test func refusals() throws {
    func refuses(_ words: String, _ change: (inout PromptTuning) -> Void) throws {
      var method = PromptTuning()
      change(&method)
      let set = try set("prompt-tuning-gpt2")
      #expect { try set.add(method) } throws: { "\($0)".contains(words) }
      #expect(set.model.prompts.installed.isEmpty)
    }
    try refuses("no room") { $0.virtualTokenCount = 32 }
    try refuses("prompt_tuning_init_text is missing") { $0.start = .text }
    try refuses("make it TEXT") { $0.text = "good" }
    try refuses("has no tokens") { ($0.start, $0.text) = (.text, "never read") }
    #expect {
      try AdapterFolder.load(Goldens.url("soft-prompts/prefix-tuning-llama"), into: try set("prefix-tuning-gpt2"))
    } throws: {
      "\($0)".contains("token_dim") && "\($0)".contains("another model")
    }
    let merging = try set("prefix-tuning-llama")
    try AdapterFolder.load(Goldens.url("soft-prompts/prefix-tuning-llama"), into: merging)
    #expect { try merging.mergeAndUnload() } throws: { "\($0)".contains("cannot be merged") && "\($0)".contains("--adapter") }
    #expect(merging.active == ["default"] && merging.model.prompts.count == 5)
    var tasks = MultitaskPromptTuning()
    tasks.taskCount = 2
    let several = try set("multitask-llama")
    try several.add(tasks)
    #expect { try logits(several.model, [[5, 6]], tasks: [2]) } throws: { "\($0)".contains("num_tasks") }
  }

  @Test func oneTaskBeginsAsAnother() throws {
    let url = Goldens.url("soft-prompts/multitask-llama")
    let source = try SafetensorsFile(url.appending(path: AdapterFolder.weightsName))
    for start in [MultitaskPromptTuning.Start.oneTask, .averageOfTasks, .sharedOnly] {
      var method = MultitaskPromptTuning()
      (method.virtualTokenCount, method.rank, method.start, method.source, method.sourceTask) = (4, 2, start, url.path, 1)
      let parameters = try set("multitask-llama").add(method).parameters
      #expect(try parameters[0].value.isEqual(to: try source.tensor("prompt_embeddings")))
      let columns = try source.tensor("prefix_task_cols")
      let wanted = start == .oneTask ? try columns.narrowed(0, 1..<2) : try columns.mean(0, keep: true)
      #expect(try mismatch(parameters[1].value, wanted, absolute: 1e-6) == nil || start == .sharedOnly)
      method.sourceTask = 3
      if start == .oneTask {
        #expect { try set("multitask-llama").add(method) } throws: { "\($0)".contains("prompt_tuning_init_task is 3") }
      }
    }
  }
}
