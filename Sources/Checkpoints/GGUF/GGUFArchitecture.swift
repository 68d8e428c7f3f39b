import OrderedCollections
import Text

/// How one family of models lies in GGUF files: what its tensors are called, how they are laid out, and its configuration.
struct GGUFArchitecture: Sendable {
  /// What has to be done to a tensor of the file to give the model's.
  enum Layout: Sendable, Hashable {
    /// Nothing.
    case same
    /// The rows of each query head are interleaved (``RowOrder``).
    case queryRows
    /// The rows of each key head are interleaved.
    case keyRows
    /// The file has [out, in], the model [in, out].
    case transposed
    /// The file has the weight plus one, as the model uses it.
    case plusOne
  }

  /// The counterpart of a tensor.
  struct Counterpart: Sendable, Hashable {
    let name: String
    let layout: Layout
  }

  /// `general.architecture`.
  let name: String
  /// The model's names by the file's, without `.weight` or `.bias`; `N` stands for the number of the layer.
  let tensors: [String: Counterpart]
  /// Tensors that hold no weights of the model, as they are called in the file.
  let ignored: Set<String>
  /// Writes the model's `config.json`.
  let config: @Sendable (GGUFConfiguration) throws(CheckpointError) -> JSON

  /// The families that can be read, by `general.architecture`.
  static let all: [String: GGUFArchitecture] = Dictionary(
    uniqueKeysWithValues: [llama, qwen2, qwen3, gemma3, gpt2].map { ($0.name, $0) })

  init(
    _ name: String, tensors: [String: String], layouts: [String: Layout] = [:], ignored: Set<String> = [],
    config: @escaping @Sendable (GGUFConfiguration) throws(CheckpointError) -> JSON
  ) {
    self.name = name
    self.tensors = Dictionary(
      uniqueKeysWithValues: tensors.map { ($0.key, Counterpart(name: $0.value, layout: layouts[$0.key] ?? .same)) })
    self.ignored = ignored
    self.config = config
  }

  /// The counterpart of a tensor of the file; nil where there is none.
  func counterpart(of name: String) -> Counterpart? {
    var parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard let suffix = parts.popLast(), suffix == "weight" || suffix == "bias" else { return nil }
    var layer: String?
    if parts.first == "blk", parts.count > 1, Int(parts[1]) != nil {
      layer = parts[1]
      parts[1] = "N"
    }
    guard let found = tensors[parts.joined(separator: ".")] else { return nil }
    let places = found.name.split(separator: ".").map { $0 == "N" ? layer ?? "N" : String($0) }
    // Conv1D keeps its bias as it is, and only weights of norms have one added.
    let layout = suffix == "bias" && (found.layout == .transposed || found.layout == .plusOne) ? .same : found.layout
    return Counterpart(name: (places + [suffix]).joined(separator: "."), layout: layout)
  }

  /// The names that Llama and the families after it share.
  static let decoderTensors: [String: String] = [
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "blk.N.attn_norm": "model.layers.N.input_layernorm",
    "blk.N.attn_q": "model.layers.N.self_attn.q_proj",
    "blk.N.attn_k": "model.layers.N.self_attn.k_proj",
    "blk.N.attn_v": "model.layers.N.self_attn.v_proj",
    "blk.N.attn_output": "model.layers.N.self_attn.o_proj",
    "blk.N.ffn_norm": "model.layers.N.post_attention_layernorm",
    "blk.N.ffn_gate": "model.layers.N.mlp.gate_proj",
    "blk.N.ffn_up": "model.layers.N.mlp.up_proj",
    "blk.N.ffn_down": "model.layers.N.mlp.down_proj",
  ]

  /// The norms of query and key heads, which some families add.
  static let headNorms: [String: String] = [
    "blk.N.attn_q_norm": "model.layers.N.self_attn.q_norm",
    "blk.N.attn_k_norm": "model.layers.N.self_attn.k_norm",
  ]
}
