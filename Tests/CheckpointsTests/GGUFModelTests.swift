import Foundation
import OrderedCollections
import Testing
import Text
import Torch

@testable import Checkpoints

struct GGUFModelTests {
  static let families = ["llama", "qwen2", "qwen3", "gemma3", "gpt2"]

  /// Names, layouts and values equal what transformers reads from the same file.
  @Test(arguments: families) func givesTheWeightsThatTransformersReads(family: String) throws {
    let model = try ModelFiles(Golden.url("\(family).gguf"))
    let expected = try SafetensorsFile(Golden.url("\(family).expected.safetensors"))
    #expect(model.weights.names.sorted() == expected.names.sorted())
    for name in expected.names {
      let tensor = try model.weights.tensor(name, as: .float32)
      let reference = try expected.tensor(name)
      #expect(tensor.shape == reference.shape, "\(name)")
      #expect(try bytes(tensor) == bytes(reference), "\(name)")
      #expect(model.weights.info(name)?.shape == reference.shape, "\(name)")
      #expect(try bytes(model.weights.tensor(name, as: .bfloat16)) == bytes(reference.to(.bfloat16)), "\(name)")
    }
  }

  @Test(arguments: families) func givesTheConfiguration(family: String) throws {
    let own = try #require(try ModelFiles(Golden.url("\(family).gguf")).config.object)
    let expected = try #require(try JSON(parsing: Golden.bytes("\(family).config.json")).object)
    let sorted = JSON.Format(sortsKeys: true)
    for (key, value) in expected { #expect(own[key]?.text(sorted) == value.text(sorted), "\(key)") }
    // Nothing is said beyond what the reference says, except for the class.
    #expect(Set(own.keys).subtracting(expected.keys) == ["architectures"])
  }

  @Test func theEndsOfAGenerationAreNamed() throws {
    let model = try ModelFiles(Golden.url("llama.gguf"))
    #expect(model.generationConfig == ["bos_token_id": 1, "eos_token_id": 2])
  }

  @Test func interleavedRowsGoToTheirHalves() {
    let order = RowOrder.interleavedHalves(headSize: 6)
    #expect((0..<12).map(order.destination(of:)) == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11])
    #expect(RowOrder.same.destination(of: 5) == 5)
  }

  /// A file with the given keys and the tensors of a Llama without layers.
  private func llama(_ extra: [(String, GGUFValue)], tensors: [(String, [Int])] = [("token_embd.weight", [4, 8])]) -> [UInt8] {
    let keys: [(String, GGUFValue)] = [
      ("general.architecture", .string("llama")), ("llama.embedding_length", .uint32(8)), ("llama.block_count", .uint32(1)),
      ("llama.feed_forward_length", .uint32(8)), ("llama.attention.head_count", .uint32(2)),
      ("llama.context_length", .uint32(16)),
      ("llama.attention.layer_norm_rms_epsilon", .float32(1e-5)),
    ]
    let own = keys.filter { key, _ in !extra.contains { $0.0 == key } }
    return GGUFBytes(
      keys: own + extra, tensors: tensors.map { ($0.0, $0.1, 0, [UInt8](repeating: 0, count: 4 * $0.1.reduce(1, *))) }
    )
    .file
  }

  private func open(_ bytes: [UInt8]) throws -> GGUFModel {
    let folder = try TemporaryFolder()
    return try GGUFModel(GGUFFile(folder.write(bytes, to: "a.gguf")))
  }

  @Test func rotaryScalingFromKeys() throws {
    #expect(try open(llama([])).config["rope_scaling"] == nil)
    let linear = try open(llama([("llama.rope.scaling.type", .string("linear")), ("llama.rope.scaling.factor", .float32(4))]))
    #expect(linear.config["rope_scaling"] == ["rope_type": "linear", "factor": 4.0])
    let yarn = try open(
      llama([
        ("llama.rope.scaling.type", .string("yarn")), ("llama.rope.scaling.factor", .float32(4)),
        ("llama.rope.scaling.original_context_length", .uint32(64)),
      ]))
    #expect(
      yarn.config["rope_scaling"] == ["rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64])
    let unknown = failure { _ = try open(llama([("llama.rope.scaling.type", .string("other"))])) }
    #expect(unknown?.contains("key “llama.rope.scaling.type”: “other” is not supported; none, linear and yarn are") == true)
  }

  @Test func factorsThatFollowNoRuleAreGivenOneByOne() throws {
    let factors: [Float] = [1.5, 2]
    let bytes = GGUFBytes(
      keys: [
        ("general.architecture", .string("llama")), ("llama.embedding_length", .uint32(8)), ("llama.block_count", .uint32(1)),
        ("llama.feed_forward_length", .uint32(8)), ("llama.attention.head_count", .uint32(2)),
        ("llama.context_length", .uint32(16)),
        ("llama.attention.layer_norm_rms_epsilon", .float32(1e-5)),
      ],
      tensors: [
        ("token_embd.weight", [4, 8], 0, [UInt8](repeating: 0, count: 128)),
        ("rope_freqs.weight", [2], 0, factors.withUnsafeBytes { Array($0) }),
      ])
    let scaling = try open(bytes.file).config["rope_scaling"]
    #expect(scaling?["rope_type"]?.string == "longrope")
    #expect(scaling?["short_factor"] == [1.5, 2.0])
    #expect(scaling?["long_factor"] == [1.5, 2.0])
    #expect(scaling?["attention_factor"] == 1.0)
  }

  @Test func mistralIsKnownByItsWindow() throws {
    let model = try open(llama([("llama.attention.sliding_window", .uint32(4))]))
    #expect(model.config["model_type"]?.string == "mistral")
    #expect(model.config["sliding_window"]?.int == 4)
  }

  @Test(
    arguments: [
      ([("llama.expert_count", .uint32(8))], "mixture of experts"),
      ([("llama.attention.head_count_kv", .uint32(3))], "3 does not divide 2 heads"),
      ([("llama.attention.head_count", .uint32(0))], "0 is not above zero"),
      ([("llama.feed_forward_length", .array(.int32([8, 9])))], "differs from layer to layer"),
      ([("general.architecture", .string("mamba"))], "“mamba” is not supported; these are: gemma3, gpt2, llama, qwen2, qwen3"),
      ([("general.type", .string("adapter"))], "holds no model: its “general.type” is “adapter”"),
      ([("split.count", .uint16(3))], "is one of 3 parts"),
      ([("llama.block_count", .string("1"))], "key “llama.block_count”: its value is not a whole number"),
    ] as [([(String, GGUFValue)], String)])
  func modelsThatCannotBeReadAreRefused(keys: [(String, GGUFValue)], reason: String) {
    #expect(failure { _ = try open(llama(keys)) }?.contains(reason) == true)
  }

  @Test func tensorsWithoutCounterpartAreRefused() {
    let strange = llama([], tensors: [("token_embd.weight", [4, 8]), ("blk.0.ssm_in.weight", [1])])
    #expect(
      failure { _ = try open(strange) }?.contains("tensor “blk.0.ssm_in.weight”: models of architecture llama have no such")
        == true)
    let halfHead = llama([], tensors: [("token_embd.weight", [4, 8]), ("blk.0.attn_q.weight", [6, 8])])
    #expect(failure { _ = try open(halfHead) }?.contains("tensor “blk.0.attn_q.weight”: its rows are not a multiple") == true)
    #expect(failure { _ = try open(llama([], tensors: [])) }?.contains("serves for tokenizing") == true)
  }
}
