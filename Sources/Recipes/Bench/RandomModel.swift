import Checkpoints
import Foundation
import Models
import OrderedCollections
import Text
import Torch

/// Writes models of random numbers, which take the time and memory of real ones and need no download.
public enum RandomModel {
  /// The spread of the weights, which is what the models' own initialisation has.
  private static let standardDeviation = 0.02

  /// Writes `config.json` and the weights, one tensor after the other: N(0, 0.02²), gains of norms 1, biases 0.
  ///
  /// - Parameters:
  ///   - shape: what to make; its `model_type` is llama, mistral or gpt2.
  ///   - dtype: the element type in the file.
  ///   - seed: where the random numbers start; those of a tensor follow from it and the tensor's place in the model.
  ///   - shardByteLimit: the most bytes of tensors in one file; a larger tensor gets a file of its own.
  ///   - folder: made where it is not there; a model in it is replaced.
  /// - Throws: ``RecipeError`` for another `model_type`; `ModelError` for a size that is missing or out of range;
  ///   `CheckpointError` where the disk refuses.
  public static func write(
    _ shape: BenchShape, dtype: DType, seed: UInt64 = 42, shardByteLimit: Int = Safetensors.defaultShardByteLimit, to folder: URL
  ) throws {
    let list = try RandomTensorList(ModelConfiguration(shape.config, path: shape.name))
    let tensors = list.entries.enumerated().map { place, entry in
      PendingTensor(entry.name, shape: entry.shape, dtype: dtype) {
        try RandomState.seed(seed &+ UInt64(place))
        return try tensor(entry.shape, entry.filling, dtype: dtype)
      }
    }
    var config = shape.config.object ?? [:]
    config["dtype"] = .string(dtype.rawValue)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Safetensors.write(tensors, inFolder: folder, shardByteLimit: shardByteLimit)
    try AtomicFile.write(JSON.object(config).text(.pretty) + "\n", to: folder.appending(path: "config.json"))
  }

  private static func tensor(
    _ shape: [Int], _ filling: RandomTensorList.Filling, dtype: DType
  ) throws(TorchError) -> Tensor {
    switch filling {
    case .ones: return try .ones(shape, dtype: dtype)
    case .zeros: return try .zeros(shape, dtype: dtype)
    case .normal:
      let numbers = try Tensor.empty(shape)
      try numbers.normalInPlace(standardDeviation: standardDeviation)
      return try numbers.to(dtype)
    }
  }
}

/// The tensors that a `config.json` asks for, under their names in a checkpoint.
struct RandomTensorList {
  /// What a tensor is filled with.
  enum Filling { case normal, ones, zeros }

  private(set) var entries: [(name: String, shape: [Int], filling: Filling)] = []

  init(_ configuration: ModelConfiguration) throws {
    let type = try configuration.word("model_type", fallback: "")
    switch type {
    case "llama", "mistral": try addLlama(configuration, tied: false)
    case "gpt2": try addGPT2(configuration, tied: true)
    default:
      throw RecipeError("\(configuration.path): random weights are made for llama, mistral and gpt2, not for “\(type)”")
    }
  }

  private mutating func add(_ name: String, _ shape: Int..., filling: Filling = .normal) {
    entries.append((name, shape, filling))
  }

  private mutating func addLlama(_ configuration: ModelConfiguration, tied: Bool) throws {
    let (hidden, inner) = (try configuration.size("hidden_size"), try configuration.size("intermediate_size"))
    let heads = try configuration.size("num_attention_heads")
    let pairs = try configuration.size("num_key_value_heads", fallback: heads)
    let head = try configuration.size("head_dim", fallback: max(1, hidden / heads))
    let vocabulary = try configuration.size("vocab_size")
    add("model.embed_tokens.weight", vocabulary, hidden)
    for layer in 0..<(try configuration.size("num_hidden_layers", limit: 10_000)) {
      let prefix = "model.layers.\(layer)."
      add(prefix + "input_layernorm.weight", hidden, filling: .ones)
      add(prefix + "self_attn.q_proj.weight", heads * head, hidden)
      add(prefix + "self_attn.k_proj.weight", pairs * head, hidden)
      add(prefix + "self_attn.v_proj.weight", pairs * head, hidden)
      add(prefix + "self_attn.o_proj.weight", hidden, heads * head)
      add(prefix + "post_attention_layernorm.weight", hidden, filling: .ones)
      add(prefix + "mlp.gate_proj.weight", inner, hidden)
      add(prefix + "mlp.up_proj.weight", inner, hidden)
      add(prefix + "mlp.down_proj.weight", hidden, inner)
    }
    add("model.norm.weight", hidden, filling: .ones)
    if try !configuration.flag("tie_word_embeddings", fallback: tied) { add("lm_head.weight", vocabulary, hidden) }
  }

  private mutating func addGPT2(_ configuration: ModelConfiguration, tied: Bool) throws {
    let hidden = try configuration.size("n_embd", "hidden_size")
    let inner = try configuration.size("n_inner", fallback: 4 * hidden)
    let vocabulary = try configuration.size("vocab_size")
    add("transformer.wte.weight", vocabulary, hidden)
    add("transformer.wpe.weight", try configuration.size("n_positions", "n_ctx"), hidden)
    for layer in 0..<(try configuration.size("n_layer", limit: 10_000)) {
      let prefix = "transformer.h.\(layer)."
      for (name, shape) in [
        ("attn.c_attn", [hidden, 3 * hidden]), ("attn.c_proj", [hidden, hidden]), ("mlp.c_fc", [hidden, inner]),
        ("mlp.c_proj", [inner, hidden]),
      ] {
        add(prefix + name + ".weight", shape[0], shape[1])
        add(prefix + name + ".bias", shape[1], filling: .zeros)
      }
      addNorm(prefix + "ln_1", hidden)
      addNorm(prefix + "ln_2", hidden)
    }
    addNorm("transformer.ln_f", hidden)
    if try !configuration.flag("tie_word_embeddings", fallback: tied) { add("lm_head.weight", vocabulary, hidden) }
  }

  private mutating func addNorm(_ name: String, _ size: Int) {
    add(name + ".weight", size, filling: .ones)
    add(name + ".bias", size, filling: .zeros)
  }
}
