import OrderedCollections
import Text

extension GGUFArchitecture {
  /// The text part of Gemma 3.
  static let gemma3 = GGUFArchitecture(
    "gemma3",
    tensors: decoderTensors.merging(headNorms) { own, _ in own }.merging([
      "blk.N.post_attention_norm": "model.layers.N.post_attention_layernorm",
      "blk.N.ffn_norm": "model.layers.N.pre_feedforward_layernorm",
      "blk.N.post_ffw_norm": "model.layers.N.post_feedforward_layernorm",
    ]) { _, new in new },
    layouts: [
      "output_norm": .plusOne, "blk.N.attn_norm": .plusOne, "blk.N.attn_q_norm": .plusOne, "blk.N.attn_k_norm": .plusOne,
      "blk.N.post_attention_norm": .plusOne, "blk.N.ffn_norm": .plusOne, "blk.N.post_ffw_norm": .plusOne,
    ]
  ) { source throws(CheckpointError) in
    var config = try source.decoder("gemma3_text", class: "Gemma3ForCausalLM")
    config["hidden_activation"] = "gelu_pytorch_tanh"
    config["attention_bias"] = false
    let layers = try source.size("block_count")
    // The file does not hold it. The 27B model, the only one of 62 layers, divides by the width per head instead of the head's size.
    let scale = layers == 62 ? try source.size("embedding_length") / source.heads().query : try source.headSize()
    config["query_pre_attn_scalar"] = .int(scale)
    config["sliding_window"] = .int(try source.size("attention.sliding_window"))
    // The files hold neither: all released sizes have five local layers to one global, and turn local ones with base 10,000.
    config["rope_local_base_freq"] = .double(try source.double("rope.freq_base_swa") ?? 10_000)
    config["layer_types"] = .array((1...layers).map { $0 % 6 == 0 ? "full_attention" : "sliding_attention" })
    if let cap = try source.double("final_logit_softcapping") { config["final_logit_softcapping"] = .double(cap) }
    return .object(config)
  }
}
