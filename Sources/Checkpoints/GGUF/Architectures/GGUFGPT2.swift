import OrderedCollections
import Text

extension GGUFArchitecture {
  /// GPT-2, whose linear layers Hugging Face keeps as [in, out] (Conv1D).
  static let gpt2 = GGUFArchitecture(
    "gpt2",
    tensors: [
      "token_embd": "transformer.wte",
      "position_embd": "transformer.wpe",
      "output_norm": "transformer.ln_f",
      "output": "lm_head",
      "blk.N.attn_norm": "transformer.h.N.ln_1",
      "blk.N.attn_qkv": "transformer.h.N.attn.c_attn",
      "blk.N.attn_output": "transformer.h.N.attn.c_proj",
      "blk.N.ffn_norm": "transformer.h.N.ln_2",
      "blk.N.ffn_up": "transformer.h.N.mlp.c_fc",
      "blk.N.ffn_down": "transformer.h.N.mlp.c_proj",
    ],
    layouts: [
      "blk.N.attn_qkv": .transposed, "blk.N.attn_output": .transposed, "blk.N.ffn_up": .transposed, "blk.N.ffn_down": .transposed,
    ]
  ) { source throws(CheckpointError) in
    var config = try source.common("gpt2", class: "GPT2LMHeadModel")
    config["n_embd"] = .int(try source.size("embedding_length"))
    config["n_layer"] = .int(try source.size("block_count"))
    config["n_head"] = .int(try source.heads().query)
    config["n_positions"] = .int(try source.size("context_length"))
    config["n_inner"] = .int(try source.size("feed_forward_length"))
    config["layer_norm_epsilon"] = .double(try source.requiredDouble("attention.layer_norm_epsilon"))
    config["activation_function"] = "gelu_new"
    return .object(config)
  }
}
