import NN
import TestSupport
import Testing
import Torch

/// Rotary frequencies of real models and the rotation itself, as transformers computes them.
@Suite struct RotaryGoldenTests {
  private struct File: Decodable { let cases: [String: Row] }

  private struct Row: Decodable {
    let headDim: Int
    let maxPositionEmbeddings: Int
    let ropeParameters: Parameters
    let sequenceLength: Int?
    let attentionFactor: Double
    let invFreq: [Double]
  }

  private struct Parameters: Decodable {
    let ropeType: String
    let ropeTheta: Double
    let factor: Double?
    let lowFreqFactor: Double?
    let highFreqFactor: Double?
    let originalMaxPositionEmbeddings: Int?
    let betaFast: Double?
    let betaSlow: Double?
    let attentionFactor: Double?
    let mscale: Double?
    let mscaleAllDim: Double?
    let truncate: Bool?
  }

  private static func scaling(_ row: Row) throws -> RotaryScaling {
    let settings = row.ropeParameters
    switch settings.ropeType {
    case "default": return .none
    case "linear": return .linear(factor: try #require(settings.factor))
    case "dynamic": return .dynamic(factor: try #require(settings.factor), original: row.maxPositionEmbeddings)
    case "llama3":
      return .llama3(
        factor: try #require(settings.factor), lowFrequency: try #require(settings.lowFreqFactor),
        highFrequency: try #require(settings.highFreqFactor), original: try #require(settings.originalMaxPositionEmbeddings))
    case "yarn":
      let mscale = settings.mscale.flatMap { one in settings.mscaleAllDim.map { (one, $0) } }
      return .yarn(
        .init(
          factor: try #require(settings.factor), original: try #require(settings.originalMaxPositionEmbeddings),
          betaFast: settings.betaFast ?? 32, betaSlow: settings.betaSlow ?? 1, attentionFactor: settings.attentionFactor,
          mscale: mscale, truncates: settings.truncate ?? true))
    default: throw GoldenTensors.Missing(key: "scaling \(settings.ropeType)")
    }
  }

  /// transformers computes in float32: powers of the base are good to 2e-6 there, differences in YaRN's passage to 1e-5.
  @Test func frequencies() throws {
    let cases = try Goldens.decoded("layers/rope_frequencies.json", as: File.self).cases
    #expect(cases.count >= 12)
    for (name, row) in cases {
      let rotary = RotaryEmbedding(size: row.headDim, base: row.ropeParameters.ropeTheta, scaling: try Self.scaling(row))
      let found = rotary.frequencies(length: row.sequenceLength ?? 1)
      try assertClose(try Tensor(found), row.invFreq, relative: 1e-5, absolute: 1e-12, name)
      #expect(abs(rotary.attentionFactor - row.attentionFactor) < 1e-9, "\(name)")
    }
  }

  @Test func rotation() throws {
    let golden = try GoldenTensors("layers/rotary.safetensors")
    let rotary = RotaryEmbedding(
      size: 8, base: 10_000, scaling: .yarn(.init(factor: 4, original: 64, betaFast: 4, betaSlow: 1)))
    let positions = try golden["position_ids"]
    let (cos, sin) = try rotary.angles(positions, length: 256)
    // Angles reach 255 radians, which float32 holds to 1.5e-5.
    try assertClose(cos, try golden["cos"].narrowed(2, 0..<4), absolute: 3e-5)
    try assertClose(sin, try golden["sin"].narrowed(2, 0..<4), absolute: 3e-5)
    for name in ["query", "key"] {
      try golden.check(name, ["input"], absolute: 1e-4) {
        try $0[0].transposed(1, 2).rotary(cos: cos, sin: sin).transposed(1, 2)
      }
    }
  }

  @Test func dynamicScalingStaysOutOfShortRows() {
    let plain = RotaryEmbedding(size: 8, base: 10_000)
    let dynamic = RotaryEmbedding(size: 8, base: 10_000, scaling: .dynamic(factor: 2, original: 16))
    #expect(dynamic.frequencies(length: 16) == plain.frequencies(length: 16))
    #expect(dynamic.frequencies(length: 17)[1] < plain.frequencies(length: 17)[1])
  }
}
