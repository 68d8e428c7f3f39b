import Foundation
import OrderedCollections
import TestSupport
import Testing
import Text
import Torch

@testable import Checkpoints

/// Files that gguf-py wrote, one for each type and property of the format (`Scripts/goldens/gguf_files.py`).
struct GGUFReferenceTests {
  private static let types = ["f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k"]

  @Test(arguments: types) func expandsAsTheReferenceDoes(type: String) throws {
    let file = try GGUFFile(Goldens.url("gguf/\(type).gguf"))
    let expected = try Goldens.tensors("gguf/expected.safetensors").tensor(type)
    #expect(try bytes(file.tensor("weight", as: .float32)) == bytes(expected))
    #expect(try bytes(file.tensor("weight", as: .bfloat16)) == bytes(expected.to(.bfloat16)))
  }

  @Test func readsVersionTwo() throws {
    let second = try GGUFFile(Goldens.url("gguf/f32-version-2.gguf")).tensor("weight")
    #expect(try bytes(second) == bytes(GGUFFile(Goldens.url("gguf/f32.gguf")).tensor("weight")))
  }

  @Test(arguments: ["first", "second", "third"]) func readsAnAlignmentOfItsOwn(name: String) throws {
    let tensor = try GGUFFile(Goldens.url("gguf/alignment-64.gguf")).tensor(name, as: .float32)
    let expected = try Goldens.tensors("gguf/expected.safetensors").tensor("alignment-64.\(name)", as: .float32)
    #expect(tensor.shape == expected.shape)
    #expect(try bytes(tensor) == bytes(expected))
  }

  @Test func readsEveryTypeOfValue() throws {
    let metadata = try GGUFFile(Goldens.url("gguf/metadata.gguf")).metadata
    let expected = try #require(try Goldens.json("gguf/metadata.json").object)
    #expect(metadata.values.count == expected.count)
    for (key, entry) in expected {
      let value = try #require(metadata[key])
      let wanted = try #require(entry["value"])
      #expect(Self.text(value) == wanted.text(), "\(key)")
    }
  }

  /// A value as JSON prints it.
  private static func text(_ value: GGUFValue) -> String {
    switch value {
    // Python writes this one beyond the range of Int, which JSON then holds as a double.
    case .uint64(let number): JSON.double(Double(number)).text()
    case .bool(let truth): JSON.bool(truth).text()
    case .string(let text): JSON.string(text).text()
    case .array(let array): JSON.array(elements(array)).text()
    default: value.int.map { JSON.int($0).text() } ?? JSON.double(value.double ?? .nan).text()
    }
  }

  private static func elements(_ array: GGUFArray) -> [JSON] {
    if let texts = array.strings { return texts.map(JSON.string) }
    if let truths = array.bools { return truths.map(JSON.bool) }
    if let numbers = array.floats { return numbers.map { .double(Double($0)) } }
    return (array.ints ?? []).map(JSON.int)
  }

  /// Weights that went through Q8_0 aside, a file gives the folder's own: names, shapes, and values bit for bit.
  @Test func givesTheFolderItWasMadeFrom() throws {
    let model = try ModelFiles(Goldens.url("gguf/llama-tied-f32.gguf"))
    let folder = try ModelFiles(Goldens.url("models/llama-tied"))
    #expect(model.weights.names.sorted() == folder.weights.names.sorted())
    for name in folder.weights.names {
      #expect(try bytes(model.weights.tensor(name)) == bytes(folder.weights.tensor(name)), "\(name)")
    }
    let legacy = try Goldens.json("models/llama-tied/config.legacy.json")
    for key in [
      "hidden_size", "num_key_value_heads", "head_dim", "rope_theta", "rms_norm_eps", "tie_word_embeddings", "vocab_size",
    ] {
      #expect(model.config[key]?.double == legacy[key]?.double && model.config[key]?.bool == legacy[key]?.bool, "\(key)")
    }
  }

  @Test func givesTheVocabulary() throws {
    let vocabulary = try GGUFFile(Goldens.url("gguf/llama-tied-f32.gguf")).metadata.vocabulary()
    #expect(vocabulary.tokens.count == 96)
    #expect(vocabulary.types.count == 96)
    #expect(vocabulary.eosID == 2)
    let none = failure { _ = try GGUFFile(Goldens.url("gguf/f32.gguf")).metadata.vocabulary() }
    #expect(none?.contains("f32.gguf: has no vocabulary") == true)
  }
}
