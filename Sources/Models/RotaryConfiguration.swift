import NN
import Text

extension ModelConfiguration {
  /// The rotary embedding: `rope_parameters` as transformers 5 writes it, or `rope_theta` and `rope_scaling` as before.
  ///
  /// - Parameters:
  ///   - headSize: features of a head.
  ///   - context: `max_position_embeddings`.
  ///   - base: `rope_theta` where the configuration has none.
  public func rotary(headSize: Int, context: Int, base: Double = 10_000) throws(ModelError) -> RotaryEmbedding {
    let key = json["rope_parameters"].map(\.isNull) == false ? "rope_parameters" : "rope_scaling"
    let settings = ModelConfiguration(json[key] ?? .null, path: "\(path): \(key)")
    let top = try number("rope_theta", fallback: base, in: 1...1e12)
    let theta = try settings.number("rope_theta", fallback: top, in: 1...1e12)
    let share = try number(
      "partial_rotary_factor", fallback: try settings.number("partial_rotary_factor", fallback: 1, in: 0...1), in: 0...1)
    let size = Int(Double(headSize) * share) / 2 * 2
    guard size > 0 else { throw error("partial_rotary_factor", "leaves no feature of \(headSize) to turn") }
    return RotaryEmbedding(size: size, base: theta, scaling: try settings.scaling(context: context))
  }

  private func scaling(context: Int) throws(ModelError) -> RotaryScaling {
    if json.isNull { return .none }
    guard json.object != nil else { throw ModelError("\(path) must be an object") }
    let kind = try word("rope_type", fallback: try word("type", fallback: "default"))
    let original = try size("original_max_position_embeddings", fallback: context)
    switch kind {
    case "default": return .none
    case "linear": return .linear(factor: try factor())
    case "dynamic":
      return .dynamic(factor: try factor(), original: context)
    case "llama3":
      let low = try number("low_freq_factor", in: 1e-6...1e6)
      let high = try number("high_freq_factor", in: 1e-6...1e6)
      guard low < high else { throw error("low_freq_factor", "must be less than high_freq_factor") }
      return .llama3(factor: try factor(), lowFrequency: low, highFrequency: high, original: original)
    case "yarn": return .yarn(try yarn(original: original))
    default: throw error("rope_type", "is “\(kind)”; known are default, linear, dynamic, llama3, yarn")
    }
  }

  private func factor() throws(ModelError) -> Double { try number("factor", in: 1...1e6) }

  private func yarn(original: Int) throws(ModelError) -> RotaryScaling.YaRN {
    let attention = json["attention_factor"].flatMap(\.double)
    var mscale: (Double, Double)?
    if let own = json["mscale"]?.double, let all = json["mscale_all_dim"]?.double, own != 0, all != 0 { mscale = (own, all) }
    return RotaryScaling.YaRN(
      factor: try factor(), original: original, betaFast: try number("beta_fast", fallback: 32, in: 1e-6...1e6),
      betaSlow: try number("beta_slow", fallback: 1, in: 1e-6...1e6), attentionFactor: attention, mscale: mscale,
      truncates: try flag("truncate", fallback: true))
  }
}
