import Foundation
import Testing
import Text
import Torch

@testable import Checkpoints

struct ShardedSafetensorsTests {
  private static let index = "model.safetensors.index.json"

  /// The golden folder, written by transformers with 20 kB to a file.
  private static var golden: URL { Golden.url("sharded") }

  private func copy(of source: URL = golden, in folder: TemporaryFolder) throws -> URL {
    let url = folder.file("model")
    try FileManager.default.copyItem(at: source, to: url)
    return url
  }

  @Test func readsWhatTransformersWrites() throws {
    let model = try ModelFiles(Self.golden)
    #expect(model.config["model_type"]?.string == "llama")
    #expect(model.weights.names.count == 21)
    #expect(try model.weights.tensor("model.layers.1.mlp.down_proj.weight").shape == [32, 48])
    #expect(model.weights.info("lm_head.weight")?.storedType == "F32")
    let text = failure { _ = try model.weights.tensor("none") }
    #expect(text?.hasSuffix("/\(Self.index): tensor “none”: not among the 21 tensors in the file") == true)
  }

  @Test func splitsAsTransformersDoes() throws {
    let folder = try TemporaryFolder()
    let golden = try ShardedSafetensors(index: Self.golden.appendingPathComponent(Self.index))
    // transformers fills the files in the order of the state.
    let layer = [
      "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
      "mlp.down_proj",
      "input_layernorm", "post_attention_layernorm",
    ]
    let names =
      ["model.embed_tokens.weight"] + (0..<2).flatMap { number in layer.map { "model.layers.\(number).\($0).weight" } }
      + ["model.norm.weight", "lm_head.weight"]
    let tensors = try names.map { ($0, try golden.tensor($0)) }
    let written = try Safetensors.write(tensors, inFolder: folder.url, shardByteLimit: 20_000)
    #expect(try folder.entries == written.sorted())
    for name in written where name.hasSuffix(".safetensors") {
      #expect(try contents(folder.file(name)) == contents(Self.golden.appendingPathComponent(name)), "\(name)")
    }
    let own = try JSON(parsing: contents(folder.file(Self.index)))
    #expect(try own == JSON(parsing: contents(Self.golden.appendingPathComponent(Self.index))))
  }

  @Test func weightsOfAnEarlierWriteGo() throws {
    let folder = try TemporaryFolder()
    let small = try [("a", Tensor([1, 2] as [Float])), ("b", Tensor([3] as [Float]))]
    try Safetensors.write(small, inFolder: folder.url, shardByteLimit: 8)
    _ = try folder.write("mine", to: "model-notes.safetensors")
    #expect(try folder.entries.count == 4)
    #expect(try Safetensors.write(small, inFolder: folder.url) == ["model.safetensors"])
    #expect(try folder.entries == ["model-notes.safetensors", "model.safetensors"])
    try Safetensors.write(small, inFolder: folder.url, shardByteLimit: 8)
    #expect(
      try folder.entries == [
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model-notes.safetensors", Self.index,
      ])
  }

  @Test func aTensorAboveTheLimitHasItsOwnFile() {
    #expect(Safetensors.split([10, 3, 3, 3, 20], limit: 6) == [0..<1, 1..<3, 3..<4, 4..<5])
    #expect(Safetensors.split([], limit: 6) == [0..<0])
    #expect(Safetensors.split([3, 3], limit: 6) == [0..<2])
  }

  @Test func everyFileMustBeThereAndHoldItsTensors() throws {
    let folder = try TemporaryFolder()
    let url = try copy(in: folder)
    let index = url.appendingPathComponent(Self.index)
    let shard = url.appendingPathComponent("model-00002-of-00004.safetensors")
    func refused(_ change: () throws -> Void) throws -> String {
      try? FileManager.default.removeItem(at: url)
      _ = try copy(in: folder)
      try change()
      return try #require(failure { _ = try ModelFiles(url) })
    }
    let missing = try refused { try FileManager.default.removeItem(at: shard) }
    #expect(missing == "\(shard.path): \(Self.index) names this file and it is not there")
    let short = try refused { try Data(contents(shard).dropLast()).write(to: shard) }
    #expect(short.hasPrefix(shard.path) && short.contains("the file is cut off"))
    let other = try refused { try Data(Golden.bytes("no_metadata.safetensors")).write(to: shard) }
    #expect(other.contains("model-00002-of-00004.safetensors, where the index places it, does not hold it"))
    for file in ["../secret", "", "..", "/etc/passwd"] {
      let outside = try refused { try AtomicFile.write(#"{"weight_map":{"x":"\#(file)"}}"#, to: index) }
      #expect(outside == "\(index.path): tensor “x”: “weight_map” does not give the name of a file beside the index")
    }
    let none = try refused { try AtomicFile.write("{}", to: index) }
    #expect(none == "\(index.path): has no object “weight_map”")
  }
}
