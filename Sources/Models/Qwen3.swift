import NN
import Torch

/// Qwen 3: norms of queries and keys in place of biases. Yang et al., arXiv:2505.09388.
enum Qwen3 {
  static func make(_ configuration: ModelConfiguration) throws -> any CausalLM {
    var decoder = try configuration.gatedDecoder(tied: false, keyValueHeads: nil)
    decoder.shape.headSize = try configuration.size("head_dim", fallback: 128)
    decoder.rotary = try configuration.rotary(headSize: decoder.shape.headSize, context: decoder.shape.contextLength)
    decoder.queryKeyValueBias = try configuration.flag("attention_bias", fallback: false)
    decoder.outputBias = decoder.queryKeyValueBias
    decoder.normsQueriesAndKeys = true
    decoder.windows = try configuration.qwenWindows(decoder.shape.layerCount)
    return try GatedDecoder(decoder)
  }
}
