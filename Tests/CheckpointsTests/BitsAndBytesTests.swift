import Foundation
import OrderedCollections
import Testing
import Text
import Torch

@testable import Checkpoints

/// Folders that transformers saved with bitsandbytes (`Scripts/goldens/quantization.py`), and files of ours beside theirs.
@Suite struct BitsAndBytesTests {
  static let models = ["llama-tied-nf4", "llama-bias-fp4", "gpt2-nf4", "qwen2-int8"]
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func golden(_ name: String) -> URL {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Goldens/quantization/models/\(name)")
  }

  private func weights(_ name: String) throws -> BitsAndBytesWeights {
    try #require(try ModelFiles(golden(name)).weights as? BitsAndBytesWeights)
  }

  @Test(arguments: models) func readsTheirs(name: String) throws {
    let (weights, expected) = (try weights(name), try SafetensorsFile(golden(name).appending(path: "expected.safetensors")))
    let key = try #require(expected.names.first { $0.hasPrefix("expanded.") })
    let path = String(key.dropFirst("expanded.".count))
    let packed = try #require(try weights.packed(path))
    #expect(try packed.expanded(as: .float32).isEqual(to: expected.tensor(key)))
    #expect(try weights.tensor(path, as: .float32).isEqual(to: expected.tensor(key)))
    #expect(weights.info(path)?.shape == packed.shape && weights.info(path)?.storedType.contains("U8") == false)
    #expect(weights.staysPacked)
    #expect(!weights.names.contains { $0.contains("absmax") || $0.contains("quant_") || $0.hasSuffix("SCB") })
    #expect(weights.names.contains(path))
  }

  /// Every packed weight of a folder of theirs, written by us: the same keys, types, shapes and bytes.
  @Test(arguments: models) func writesTheSameBytes(name: String) throws {
    let theirs = try SafetensorsFile(golden(name).appending(path: "model.safetensors"))
    let weights = try weights(name)
    var written: Set<String> = []
    for path in weights.names {
      guard let packed = try weights.packed(path) else { continue }
      for (key, tensor) in try BitsAndBytesTensors.make(packed, at: String(path.dropLast(".weight".count))) {
        let expected = try theirs.tensor(key)
        #expect(tensor.dtype == expected.dtype && tensor.shape == expected.shape, "\(key)")
        #expect(try bytes(tensor) == bytes(expected), "\(key)")
        written.insert(key)
      }
    }
    #expect(!written.isEmpty)
    #expect(Set(theirs.names).subtracting(written) == Set(weights.names).subtracting(written))
  }

  private func refusal(_ change: (inout OrderedDictionary<String, Tensor>) throws -> Void) throws -> String {
    let source = try SafetensorsFile(golden("llama-tied-nf4").appending(path: "model.safetensors"))
    var tensors: OrderedDictionary<String, Tensor> = [:]
    for name in source.names { tensors[name] = try source.tensor(name) }
    try change(&tensors)
    let url = folder.file("model.safetensors")
    try Safetensors.write(tensors.map { ($0.key, $0.value) }, to: url)
    return try #require(
      failure {
        guard let weights = try BitsAndBytesWeights(try SafetensorsFile(url)) else { return }
        for name in weights.names { _ = try weights.tensor(name, as: .float32) }
      })
  }

  @Test func damagedPartsAreNamed() throws {
    let name = "model.layers.0.self_attn.q_proj.weight"
    let state = "\(name).quant_state.bitsandbytes__nf4"
    func text(_ text: String) throws -> Tensor { try Tensor(Array(text.utf8)) }
    #expect(try refusal { $0["\(name).absmax"] = nil }.contains("“\(name).absmax”: is missing beside"))
    #expect(try refusal { $0["\(name).nested_absmax"] = nil }.contains("“\(name).nested_absmax”: is missing beside"))
    #expect(try refusal { $0["\(name).absmax"] = try .ones([16]) }.contains("bitsandbytes writes uint8"))
    #expect(try refusal { $0["\(name).absmax"] = try .ones([3], dtype: .uint8) }.contains("do not fit each other"))
    #expect(try refusal { $0[name] = try .ones([5, 1], dtype: .uint8) }.contains("has 5 bytes for [32, 32] numbers"))
    #expect(try refusal { $0["\(name).quant_map"] = try .ones([16]) }.contains("holds other values"))
    #expect(try refusal { $0[state] = try text("[1]") }.contains("is not the JSON object"))
    #expect(try refusal { $0[state] = try text(#"{"quant_type": "int4"}"#) }.contains("known are nf4 and fp4"))
    let head = #"{"quant_type": "nf4", "blocksize": "#
    #expect(try refusal { $0[state] = try text(head + "48}") }.contains("no power of 2"))
    #expect(try refusal { $0[state] = try text(head + #"64, "dtype": "int8"}"#) }.contains("“dtype”"))
    #expect(try refusal { $0[state] = try text(head + #"64, "dtype": "float32", "shape": [32]}"#) }.contains("no two sizes"))
    #expect(
      try refusal { $0[state] = try text(head + #"64, "dtype": "float32", "shape": [2147483647, 2147483647]}"#) }
        .contains(name))
  }

  @Test(arguments: ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k"])
  func blocksOfGGUFFilesAsTheyAre(type: String) throws {
    let goldens = golden("").deletingLastPathComponent().deletingLastPathComponent()
    let file = try GGUFFile(goldens.appending(path: "gguf/\(type).gguf"))
    let packed = try #require(try file.packed("weight", rows: .same))
    let expected = try file.tensor("weight", as: .float32)
    #expect(packed.shape == expected.shape && packed.numbers.count == file.info("weight")?.byteCount)
    #expect(try bytes(packed.expanded(as: .float32)) == bytes(expected))
    #expect(try bytes(packed.expanded(as: .bfloat16)) == bytes(expected.to(.bfloat16)))
    #expect(throws: CheckpointError.self) { try BitsAndBytesTensors.make(packed, at: "x") }
  }

  @Test func plainGGUFTensorsAreNotPacked() throws {
    let goldens = golden("").deletingLastPathComponent().deletingLastPathComponent()
    #expect(try GGUFFile(goldens.appending(path: "gguf/f16.gguf")).packed("weight", rows: .same) == nil)
  }
}
