import Checkpoints
import Foundation
import NN
import TestSupport
import Testing
import Text
import Torch

@testable import Tuners

/// Adapters that PEFT wrote, against the logits PEFT gives with them.
@Suite struct PEFTAdapterTests {
  static let names = [
    "lora", "lora-all-linear-rslora", "lora-patterns", "lora-layers-to-transform", "lora-regex", "lora-exclude",
    "lora-dora", "lora-bias-lora-only", "lora-bias-all", "lora-modules-to-save", "lora-gpt2", "lora-gpt2-all",
  ]

  private func open(_ name: String) throws -> (set: AdapterSet, expected: SafetensorsFile) {
    let base = try #require(try AdapterFolder.baseModel(Goldens.url("adapters/\(name)")))
    return (
      try AdapterSet(try TinyModels.load(base)), try Goldens.tensors("adapters/\(name)/expected.safetensors")
    )
  }

  private func logits(_ model: any CausalLM, _ expected: SafetensorsFile) throws -> Tensor {
    let ids = try expected.tensor("input_ids")
    let flat: [Int32] = try ids.array()
    let width = ids.shape[1]
    let rows = stride(from: 0, to: flat.count, by: width).map { Array(flat[$0..<$0 + width]) }
    return try withoutGradients { () throws in try model.logits(try ModelInput(rows: rows)) }
  }

  @Test(arguments: names) func givesTheReferencesLogits(_ name: String) throws {
    let (set, expected) = try open(name)
    try AdapterFolder.load(Goldens.url("adapters/\(name)"), into: set)
    #expect(try mismatch(try logits(set.model, expected), try expected.tensor("logits"), absolute: 1e-4) == nil)
    let base = try set.withAdaptersDisabled { try logits(set.model, expected) }
    #expect(try mismatch(base, try expected.tensor("base_logits"), absolute: 1e-4) == nil)
    #expect(try mismatch(try logits(set.model, expected), try expected.tensor("logits"), absolute: 1e-4) == nil)
  }

  @Test(arguments: names) func mergesAsTheReference(_ name: String) throws {
    let (set, expected) = try open(name)
    try AdapterFolder.load(Goldens.url("adapters/\(name)"), into: set)
    try set.mergeAndUnload()
    #expect(try mismatch(try logits(set.model, expected), try expected.tensor("merged_logits"), absolute: 1e-4) == nil)
    for key in expected.names where key.hasPrefix("merged.") {
      let path = String(key.dropFirst("merged.".count))
      let own = try #require(set.model.parameters().first { $0.path == path }?.value, "\(path)")
      #expect(try mismatch(own, try expected.tensor(key), absolute: 1e-5) == nil, "\(path)")
    }
  }

  @Test(arguments: names) func writesWhatTheReferenceWrote(_ name: String) throws {
    let (set, _) = try open(name)
    let source = Goldens.url("adapters/\(name)")
    let adapter = try AdapterFolder.load(source, into: set)
    let folder = FileManager.default.temporaryDirectory.appending(path: "attune-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    try AdapterFolder.save(adapter, base: "base", to: folder)
    let (own, theirs) = (
      try SafetensorsFile(folder.appending(path: AdapterFolder.weightsName)),
      try SafetensorsFile(source.appending(path: AdapterFolder.weightsName))
    )
    #expect(Set(own.names) == Set(theirs.names))
    for key in theirs.names { #expect(try own.tensor(key).isEqual(to: try theirs.tensor(key)), "\(key)") }
    let config = try JSON(parsing: Data(contentsOf: folder.appending(path: AdapterFolder.configName)))
    let reference = try JSON(parsing: Data(contentsOf: source.appending(path: AdapterFolder.configName)))
    for key in [
      "r", "lora_alpha", "fan_in_fan_out", "bias", "use_rslora", "rank_pattern", "layers_to_transform", "modules_to_save",
    ] {
      #expect(config[key] == reference[key], "\(key)")
    }
    let again = try AdapterSet(set.model)
    try set.remove("default")
    try AdapterFolder.load(folder, into: again)
  }

  /// PEFT puts the paths of the modules in place of `all-linear`, and so do we.
  @Test func namesTheModulesOfAllLinear() throws {
    let set = try AdapterSet(try TinyModels.load("llama-tied"))
    let adapter = try set.add(LoRAConfiguration())
    let own = try AdapterFolder.adapterConfig(adapter, base: "llama-tied")
    let reference = try Goldens.json("adapters/lora-all-linear-rslora/adapter_config.json")
    let names = { (json: JSON) in (json["target_modules"]?.array ?? []).compactMap(\.string) }
    #expect(names(own).count == 14)
    #expect(Set(names(own)) == Set(names(reference)))
  }

  @Test func severalAdaptersStandSideBySide() throws {
    let model = try TinyModels.load("llama-tied")
    let expected = try Goldens.tensors("adapters/two-adapters/expected.safetensors")
    let set = try AdapterSet(model)
    for name in ["first", "second"] {
      try AdapterFolder.load(Goldens.url("adapters/two-adapters/\(name)"), into: set, named: name)
    }
    for (active, key) in [(["first"], "first"), (["second"], "second"), (["first", "second"], "both"), ([], "disabled")] {
      try set.activate(active)
      #expect(try mismatch(try logits(model, expected), try expected.tensor("\(key).logits"), absolute: 1e-4) == nil, "\(key)")
    }
    try set.activate(["second", "first"])
    try set.mergeAndUnload()
    #expect(try mismatch(try logits(model, expected), try expected.tensor("both.logits"), absolute: 1e-4) == nil)
  }

  @Test(arguments: [
    ("use_qalora", "true"), ("layer_replication", "[[0, 1]]"), ("target_parameters", "[\"a\"]"), ("bias", "\"some\""),
    ("r", "0"), ("lora_dropout", "1.5"), ("rank_pattern", "{\"a\": 0.5}"), ("trainable_token_indices", "{\"a\": [1]}"),
  ])
  func refusesWhatItCannotApply(_ key: String, _ value: String) throws {
    let folder = try TemporaryFolder()
    let text = #"{"peft_type": "LORA", "target_modules": ["q_proj"], "\#(key)": \#(value)}"#
    try Data(text.utf8).write(to: folder.url.appending(path: AdapterFolder.configName))
    #expect { try AdapterFolder.configuration(folder.url) } throws: {
      "\($0)".contains(key) && "\($0)".contains("adapter_config")
    }
  }
}
