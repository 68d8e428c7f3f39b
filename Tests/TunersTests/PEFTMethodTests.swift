import Checkpoints
import Foundation
import NN
import OrderedCollections
import TestSupport
import Testing
import Text
import Torch

@testable import Tuners

/// Adapters of every method that PEFT wrote, against the logits PEFT gives with them.
@Suite struct PEFTMethodTests {
  static let names = [
    "dora", "dora-gpt2", "pissa", "pissa-gpt2", "olora", "lora-plus", "lora-fa", "ia3", "ia3-qwen2", "ia3-gpt2", "ln-tuning",
    "ln-tuning-gpt2", "vera", "vera-gpt2", "loha", "lokr", "lokr-both", "adalora", "adalora/trained", "lora-embedding",
    "trainable-tokens", "trainable-tokens-tied", "lora-trainable-tokens",
  ]

  private func open(_ name: String) throws -> (set: AdapterSet, expected: SafetensorsFile, folder: URL) {
    let folder = Goldens.url("methods/\(name)")
    let base = try #require(try AdapterFolder.baseModel(folder))
    return (
      try AdapterSet(try TinyModels.load(base)), try Goldens.tensors("methods/\(name)/expected.safetensors"), folder
    )
  }

  private func logits(_ model: any CausalLM, _ expected: SafetensorsFile) throws -> Tensor {
    let ids = try expected.tensor("input_ids")
    let flat: [Int32] = try ids.array()
    let width = ids.shape[1]
    let rows = stride(from: 0, to: flat.count, by: width).map { Array(flat[$0..<$0 + width]) }
    return try withoutGradients { () throws in try model.logits(try ModelInput(rows: rows)) }
  }

  @Test func everyGoldenIsRead() throws {
    let folder = Goldens.url("methods")
    let found = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    #expect(Set(found) == Set(Self.names.filter { !$0.contains("/") }))
  }

  @Test(arguments: names) func givesTheReferencesLogits(_ name: String) throws {
    let (set, expected, folder) = try open(name)
    try AdapterFolder.load(folder, into: set)
    #expect(try mismatch(try logits(set.model, expected), try expected.tensor("logits"), absolute: 1e-4) == nil)
    let base = try set.withAdaptersDisabled { try logits(set.model, expected) }
    #expect(try mismatch(base, try expected.tensor("base_logits"), absolute: 1e-4) == nil)
  }

  @Test(arguments: names) func mergesAsTheReference(_ name: String) throws {
    let (set, expected, folder) = try open(name)
    try AdapterFolder.load(folder, into: set)
    try set.mergeAndUnload()
    #expect(try mismatch(try logits(set.model, expected), try expected.tensor("merged_logits"), absolute: 1e-4) == nil)
    #expect(!set.model.projections().contains { $0.slot.value is AdaptedProjection })
  }

  /// PEFT saves the base's own token table and head along where they are adapted, and reads adapters without them.
  @Test(arguments: names) func writesWhatTheReferenceWrote(_ name: String) throws {
    let (set, expected, source) = try open(name)
    let adapter = try AdapterFolder.load(source, into: set)
    let folder = try TemporaryFolder()
    try AdapterFolder.save(adapter, base: "base", to: folder.url)
    let (own, theirs) = (
      try SafetensorsFile(folder.url.appending(path: AdapterFolder.weightsName)),
      try SafetensorsFile(source.appending(path: AdapterFolder.weightsName))
    )
    let wanted = theirs.names.filter { !$0.hasSuffix(".base_layer.weight") }
    #expect(Set(own.names) == Set(wanted))
    for key in wanted { #expect(try own.tensor(key).isEqual(to: try theirs.tensor(key)), "\(key)") }
    let config = try JSON(parsing: Data(contentsOf: folder.url.appending(path: AdapterFolder.configName)))
    let reference = try JSON(parsing: Data(contentsOf: source.appending(path: AdapterFolder.configName)))
    for (key, value) in config.object ?? [:] {
      #expect(reference[key] != nil, "PEFT has no “\(key)”")
      let isFree = ["target_modules", "feedforward_modules", "base_model_name_or_path", "fan_in_fan_out"].contains(key)
      if !isFree { #expect(value.text() == reference[key]?.text() || value.double == reference[key]?.double, "\(key)") }
    }
    let again = try AdapterSet(try TinyModels.load(try #require(try AdapterFolder.baseModel(source))))
    try AdapterFolder.load(folder.url, into: again)
    #expect(try mismatch(try logits(again.model, expected), try expected.tensor("logits"), absolute: 1e-4) == nil)
  }

  @Test func unconvertedAdaptersThatChangeTheBaseAreRefused() throws {
    let folder = try TemporaryFolder()
    let text = #"{"peft_type": "LORA", "target_modules": ["q_proj"], "init_lora_weights": "pissa"}"#
    try Data(text.utf8).write(to: folder.url.appending(path: AdapterFolder.configName))
    #expect { try AdapterFolder.configuration(folder.url) } throws: {
      "\($0)".contains("path_initial_model_for_weight_conversion")
    }
  }
}
