import Foundation
import Torch

/// How rotary frequencies are changed for contexts longer than the model was first trained on.
public enum RotaryScaling: Sendable, Hashable {
  /// As trained.
  case none
  /// Positions divided by `factor`. Chen et al., arXiv:2306.15595.
  case linear(factor: Double)
  /// The base grows with the length once it passes `original` positions (dynamic NTK).
  case dynamic(factor: Double, original: Int)
  /// Long waves stretched by `factor`, short ones kept, a smooth passage between. Llama 3.1.
  case llama3(factor: Double, lowFrequency: Double, highFrequency: Double, original: Int)
  /// YaRN: interpolation by frequency, and attention scaled. Peng et al., arXiv:2309.00071.
  case yarn(YaRN)

  /// YaRN's settings.
  public struct YaRN: Sendable, Hashable {
    /// How much longer the context is.
    public var factor: Double
    /// Positions the model was first trained on.
    public var original: Int
    /// Rotations above which a frequency is kept.
    public var betaFast: Double
    /// Rotations below which a frequency is interpolated.
    public var betaSlow: Double
    /// What cosine and sine are multiplied with; nil for 0.1·ln(factor) + 1.
    public var attentionFactor: Double?
    /// DeepSeek's pair of scales for the attention factor.
    public var mscale: (Double, Double)? { mscales.map { ($0[0], $0[1]) } }
    /// Whether the borders of the passage are rounded to whole dimensions.
    public var truncates: Bool

    private var mscales: [Double]?

    /// The settings by name.
    public init(
      factor: Double, original: Int, betaFast: Double = 32, betaSlow: Double = 1, attentionFactor: Double? = nil,
      mscale: (Double, Double)? = nil, truncates: Bool = true
    ) {
      self.factor = factor
      self.original = original
      self.betaFast = betaFast
      self.betaSlow = betaSlow
      self.attentionFactor = attentionFactor
      self.mscales = mscale.map { [$0.0, $0.1] }
      self.truncates = truncates
    }
  }
}

/// Rotary position embedding: the angles for each position. Su et al., arXiv:2104.09864.
public struct RotaryEmbedding: Sendable {
  /// Features turned in each head, R.
  public let size: Int
  /// θ of the lowest frequency.
  public let base: Double
  /// How frequencies are changed.
  public let scaling: RotaryScaling

  /// Angles for heads of `size` features.
  public init(size: Int, base: Double, scaling: RotaryScaling = .none) {
    self.size = size
    self.base = base
    self.scaling = scaling
  }

  /// cos and sin of each position's angles, times the attention factor. positions [B, S] int64 → [B, S, R/2] float32.
  ///
  /// - Parameters:
  ///   - positions: where each token stands, from 0.
  ///   - length: one more than the highest position, which dynamic scaling looks at.
  public func angles(_ positions: Tensor, length: Int) throws(TorchError) -> (cos: Tensor, sin: Tensor) {
    let frequencies = try Tensor(self.frequencies(length: length).map(Float.init)).to(positions.device)
    let angles = try positions.to(.float32).unsqueezed(-1) * frequencies
    let factor = attentionFactor
    let cos = try angles.cos()
    let sin = try angles.sin()
    return factor == 1 ? (cos, sin) : (try cos * factor, try sin * factor)
  }

  /// What cosine and sine are multiplied with.
  public var attentionFactor: Double {
    guard case .yarn(let yarn) = scaling else { return 1 }
    if let factor = yarn.attentionFactor { return factor }
    func scale(_ mscale: Double) -> Double { yarn.factor <= 1 ? 1 : 0.1 * mscale * log(yarn.factor) + 1 }
    if let (mscale, all) = yarn.mscale { return scale(mscale) / scale(all) }
    return scale(1)
  }

  /// Radians a position for each pair of features.
  public func frequencies(length: Int) -> [Double] {
    switch scaling {
    case .none: return plain(base: base)
    case .linear(let factor): return plain(base: base).map { $0 / factor }
    case .dynamic(let factor, let original):
      guard length > original else { return plain(base: base) }
      let growth = factor * Double(length) / Double(original) - (factor - 1)
      return plain(base: base * pow(growth, Double(size) / Double(size - 2)))
    case .llama3(let factor, let low, let high, let original):
      return plain(base: base).map { llama3($0, factor: factor, low: low, high: high, original: Double(original)) }
    case .yarn(let settings): return yarn(settings)
    }
  }

  private func plain(base: Double) -> [Double] {
    stride(from: 0, to: size, by: 2).map { 1 / pow(base, Double($0) / Double(size)) }
  }

  private func llama3(_ frequency: Double, factor: Double, low: Double, high: Double, original: Double) -> Double {
    let wavelength = 2 * Double.pi / frequency
    if wavelength < original / high { return frequency }
    if wavelength > original / low { return frequency / factor }
    let smooth = (original / wavelength - low) / (high - low)
    return (1 - smooth) * frequency / factor + smooth * frequency
  }

  private func yarn(_ settings: RotaryScaling.YaRN) -> [Double] {
    /// The dimension that turns `rotations` times over the original context.
    func dimension(_ rotations: Double) -> Double {
      Double(size) * log(Double(settings.original) / (rotations * 2 * .pi)) / (2 * log(base))
    }
    var low = dimension(settings.betaFast)
    var high = dimension(settings.betaSlow)
    if settings.truncates { (low, high) = (low.rounded(.down), high.rounded(.up)) }
    low = max(low, 0)
    high = min(high, Double(size - 1))
    if low == high { high += 0.001 }
    return plain(base: base).enumerated().map { index, frequency in
      let ramp = min(max((Double(index) - low) / (high - low), 0), 1)
      return frequency / settings.factor * ramp + frequency * (1 - ramp)
    }
  }
}
