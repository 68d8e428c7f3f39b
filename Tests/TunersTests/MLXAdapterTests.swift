import Checkpoints
import Foundation
import NN
import OrderedCollections
import TestSupport
import Testing
import Text
import Torch

@testable import Tuners

/// Adapters that mlx-lm wrote, against the logits it gives with them; see `Scripts/goldens/mlx_adapters.py`.
@Suite struct MLXAdapterTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test(arguments: ["lora", "all"]) func givesTheReferencesLogits(_ name: String) throws {
    let adapter = try MLXAdapter.read(Goldens.url("mlx/\(name)"))
    try adapter.write(to: folder.url)
    let set = try AdapterSet(try TinyModels.load(adapter.base))
    try AdapterFolder.load(folder.url, into: set)
    let expected = try Goldens.tensors("mlx/\(name)/expected.safetensors")
    let ids: [Int32] = try expected.tensor("input_ids").array()
    let width = try #require(expected.info("input_ids")).shape[1]
    let rows = stride(from: 0, to: ids.count, by: width).map { Array(ids[$0..<$0 + width]) }
    let logits = try withoutGradients { () throws in try set.model.logits(try ModelInput(rows: rows)) }
    // mlx sums float32 in another order; with its scale of 20 the logits reach some hundreds.
    try assertClose(logits, try expected.tensor("logits"), relative: 1e-4, absolute: 1e-3)
  }

  @Test(arguments: ["lora", "all"]) func writesWhatTheReferenceWrote(_ name: String) throws {
    try MLXAdapter.write(try MLXAdapter.read(Goldens.url("mlx/\(name)")), to: folder.url)
    let own = try SafetensorsFile(folder.url.appending(path: MLXAdapter.weightsName))
    let theirs = try Goldens.tensors("mlx/\(name)/adapters.safetensors")
    #expect(Set(own.names) == Set(theirs.names))
    for key in theirs.names { #expect(try own.tensor(key).isEqual(to: try theirs.tensor(key)), "\(key)") }
    let config = try JSON(parsing: Data(contentsOf: folder.url.appending(path: MLXAdapter.configName)))
    let reference = try Goldens.json("mlx/\(name)/adapter_config.json")
    for key in ["rank", "scale", "dropout"] {
      #expect(config["lora_parameters"]?[key]?.double == reference["lora_parameters"]?[key]?.double, "\(key)")
    }
    let keys = { (json: JSON) in Set((json["lora_parameters"]?["keys"]?.array ?? []).compactMap(\.string)) }
    #expect(keys(config) == keys(reference))
  }

  /// Ranks and scales that differ are brought to one, and the change stays what it was.
  @Test(arguments: ["lora-patterns", "lora-all-linear-rslora", "lora-gpt2"]) func bringsRanksAndScalesToOne(_ name: String) throws
  {
    let adapter = try StoredLoRA(Goldens.url("adapters/\(name)"), for: "converting")
    try MLXAdapter.write(adapter, to: folder.url)
    let again = try MLXAdapter.read(folder.url)
    #expect(Set(again.modules.keys) == Set(adapter.modules.keys))
    #expect(Set(again.modules.values.map(\.rank)).count == 1)
    #expect(again.storesTransposed == adapter.storesTransposed)
    for (path, module) in adapter.modules {
      try assertClose(try #require(again.modules[path]).change(), try module.change(), absolute: 1e-5, path)
    }
  }

  @Test func damageIsNamed() throws {
    let source = Goldens.url("mlx/lora")
    func refusal(_ config: String) throws -> String {
      let copy = try TemporaryFolder()
      try FileManager.default.copyItem(
        at: source.appending(path: MLXAdapter.weightsName), to: copy.url.appending(path: MLXAdapter.weightsName))
      try copy.write(config, to: MLXAdapter.configName)
      do { _ = try MLXAdapter.read(copy.url) } catch { return "\(error)" }
      return "nothing was refused"
    }
    #expect(try refusal("{}").contains("lora_parameters"))
    #expect(try refusal(#"{"fine_tune_type": "full"}"#).contains("fine_tune_type"))
    #expect(try refusal(#"{"lora_parameters": {"rank": 4}}"#).contains("scale"))
    #expect(try refusal(#"{"lora_parameters": {"rank": 0, "scale": 1}}"#).contains("rank"))
    #expect(try refusal(#"{"lora_parameters": {"rank": 5, "scale": 1}}"#).contains("do not fit a rank of 5"))
    #expect(try refusal(#"{"lora_parameters": {"rank": 4, "scale": 1, "dropout": 1}}"#).contains("dropout"))
  }
}
