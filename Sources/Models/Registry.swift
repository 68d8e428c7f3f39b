import NN

/// An architecture: how to make its model from a config.json, and which keys of its checkpoints hold no parameter.
struct Architecture: Sendable {
  /// Makes the model, its numbers yet to be loaded.
  let make: @Sendable (ModelConfiguration) throws -> any CausalLM
  /// The first part of its keys, which some files leave out.
  let prefix: String
  /// Endings of keys that older files hold and that are no parameters.
  let buffers: [String]

  /// Every architecture there is, by `model_type`.
  static let registry: [String: Architecture] = [
    "gpt2": Architecture(make: GPT2.make, prefix: "transformer.", buffers: [".attn.bias", ".attn.masked_bias"]),
    "llama": Architecture(make: Llama.make, prefix: "model.", buffers: [".rotary_emb.inv_freq"]),
    "mistral": Architecture(make: Mistral.make, prefix: "model.", buffers: [".rotary_emb.inv_freq"]),
    "qwen2": Architecture(make: Qwen2.make, prefix: "model.", buffers: [".rotary_emb.inv_freq"]),
    "qwen3": Architecture(make: Qwen3.make, prefix: "model.", buffers: [".rotary_emb.inv_freq"]),
  ]
}

/// The `model_type`s that can be loaded, in order.
public var knownModelTypes: [String] { Architecture.registry.keys.sorted() }

/// True for a tensor that older files of this `model_type` hold and that is no parameter: a mask, a table of frequencies.
public func isBuffer(_ name: String, ofModelType type: String) -> Bool {
  Architecture.registry[type]?.buffers.contains { name.hasSuffix($0) } ?? false
}
