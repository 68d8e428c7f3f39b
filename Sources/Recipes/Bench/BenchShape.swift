import Checkpoints
import Foundation
import OrderedCollections
import Text

/// What a random model for measuring is shaped like: the `config.json` of a published one, without its numbers.
///
/// How long a step takes and what memory it needs depend on the shape, not on the numbers.
public struct BenchShape: Sendable {
  /// What the command line calls it, or the file it was read from.
  public let name: String
  /// The content of its `config.json`.
  public let config: JSON

  /// The shapes that have a name.
  public static let known = [
    BenchShape(
      name: "smollm2-135m",
      config: [
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 49152, "hidden_size": 576,
        "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 100_000.0, "hidden_act": "silu",
        "tie_word_embeddings": true, "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2,
      ]),
    BenchShape(
      name: "gpt2-124m",
      config: [
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 50257, "n_embd": 768, "n_layer": 12,
        "n_head": 12, "n_positions": 1024, "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new",
        "embd_pdrop": 0.1, "attn_pdrop": 0.1, "resid_pdrop": 0.1, "tie_word_embeddings": true,
        "bos_token_id": 50256, "eos_token_id": 50256,
      ]),
    BenchShape(
      name: "tinyllama-1.1b",
      config: [
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 32000, "hidden_size": 2048,
        "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32, "num_key_value_heads": 4,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "hidden_act": "silu",
        "tie_word_embeddings": false, "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2,
      ]),
    BenchShape(
      name: "mistral-7b",
      config: [
        "architectures": ["MistralForCausalLM"], "model_type": "mistral", "vocab_size": 32000, "hidden_size": 4096,
        "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "max_position_embeddings": 32768, "sliding_window": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10_000.0,
        "hidden_act": "silu", "tie_word_embeddings": false, "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2,
      ]),
  ]

  /// The shape of a name, or of a `config.json` by its path.
  ///
  /// - Throws: ``RecipeError`` that names the known shapes; `CheckpointError` for a damaged file.
  public init(named name: String) throws {
    if let shape = Self.known.first(where: { $0.name == name }) {
      self = shape
      return
    }
    guard FileManager.default.fileExists(atPath: name) else {
      throw RecipeError(
        "there is no shape “\(name)”; known are \(Self.known.map(\.name).joined(separator: ", ")), or give the path of a config.json"
      )
    }
    self.init(name: name, config: try JSONFile.object(at: URL(filePath: name)))
  }

  init(name: String, config: JSON) { (self.name, self.config) = (name, config) }

  /// The same shape with every dropout of the model's own at 0.
  public var withoutDropout: BenchShape {
    var members = config.object ?? [:]
    for key in members.keys where key.hasSuffix("_pdrop") || key.hasSuffix("_dropout") { members[key] = 0.0 }
    return BenchShape(name: name, config: .object(members))
  }
}
