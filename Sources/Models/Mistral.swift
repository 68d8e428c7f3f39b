import NN
import Torch

/// Mistral: Llama with a sliding window on every layer. Jiang et al., arXiv:2310.06825.
enum Mistral {
  static func make(_ configuration: ModelConfiguration) throws -> any CausalLM {
    var decoder = try configuration.gatedDecoder(tied: false, keyValueHeads: 8)
    let window = try configuration.optionalSize("sliding_window")
    decoder.windows = try configuration.windows(decoder.shape.layerCount, size: window) { _ in true }
    return try GatedDecoder(decoder)
  }
}
