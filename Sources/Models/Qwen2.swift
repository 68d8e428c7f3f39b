import NN
import Text
import Torch

/// Qwen 2 and 2.5: Llama with biases on q, k and v. Yang et al., arXiv:2407.10671.
enum Qwen2 {
  static func make(_ configuration: ModelConfiguration) throws -> any CausalLM {
    var decoder = try configuration.gatedDecoder(tied: false, keyValueHeads: nil)
    decoder.queryKeyValueBias = true
    decoder.windows = try configuration.qwenWindows(decoder.shape.layerCount)
    return try GatedDecoder(decoder)
  }
}

extension ModelConfiguration {
  /// Qwen's rule: layers from `max_window_layers` on have the window, if `use_sliding_window` turns it on.
  func qwenWindows(_ count: Int) throws(ModelError) -> [Int?] {
    guard try flag("use_sliding_window", fallback: false) else { return Array(repeating: nil, count: count) }
    let window = try size("sliding_window", fallback: 4096)
    let first = json["max_window_layers"]?.int ?? 28
    return try windows(count, size: window) { $0 >= first }
  }
}
