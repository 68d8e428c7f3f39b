import OrderedCollections
import Text

extension GGUFArchitecture {
  /// Llama, Mistral, SmolLM and whatever else llama.cpp's converter calls `llama`.
  static let llama = GGUFArchitecture(
    "llama", tensors: decoderTensors,
    layouts: ["blk.N.attn_q": .queryRows, "blk.N.attn_k": .keyRows],
    // Its numbers are in the configuration (`rope_scaling`).
    ignored: ["rope_freqs.weight"]
  ) { source throws(CheckpointError) in
    let window = try source.int("attention.sliding_window")
    var config = try source.decoder(
      window == nil ? "llama" : "mistral", class: window == nil ? "LlamaForCausalLM" : "MistralForCausalLM")
    if let window { config["sliding_window"] = .int(window) }
    config["hidden_act"] = "silu"
    config["attention_bias"] = .bool(source.has("blk.0.attn_q.bias"))
    config["mlp_bias"] = .bool(source.has("blk.0.ffn_up.bias"))
    return .object(config)
  }
}
