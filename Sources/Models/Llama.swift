import NN
import Torch

/// Llama 1, 2, 3 and what is built like them: TinyLlama, SmolLM, SmolLM2. Touvron et al., arXiv:2302.13971.
enum Llama {
  static func make(_ configuration: ModelConfiguration) throws -> any CausalLM {
    var decoder = try configuration.gatedDecoder(tied: false, keyValueHeads: nil)
    decoder.queryKeyValueBias = try configuration.flag("attention_bias", fallback: false)
    decoder.outputBias = decoder.queryKeyValueBias
    decoder.feedForwardBias = try configuration.flag("mlp_bias", fallback: false)
    return try GatedDecoder(decoder)
  }
}
