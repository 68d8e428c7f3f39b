import OrderedCollections
import Text

extension GGUFArchitecture {
  /// Qwen2 and Qwen2.5.
  static let qwen2 = GGUFArchitecture("qwen2", tensors: decoderTensors) { source throws(CheckpointError) in
    var config = try source.decoder("qwen2", class: "Qwen2ForCausalLM")
    config["hidden_act"] = "silu"
    config["use_sliding_window"] = false
    return .object(config)
  }

  /// Qwen3.
  static let qwen3 = GGUFArchitecture(
    "qwen3", tensors: decoderTensors.merging(headNorms) { own, _ in own }
  ) { source throws(CheckpointError) in
    var config = try source.decoder("qwen3", class: "Qwen3ForCausalLM")
    config["hidden_act"] = "silu"
    config["attention_bias"] = .bool(source.has("blk.0.attn_q.bias"))
    config["use_sliding_window"] = false
    return .object(config)
  }
}
