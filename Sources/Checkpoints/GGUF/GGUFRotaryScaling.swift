import Foundation
import OrderedCollections
import Text

extension GGUFConfiguration {
  /// How the rotary embedding is stretched past the context of pre-training, in the form of `rope_scaling`; nil where it is not.
  func rotaryScaling() throws(CheckpointError) -> JSON? {
    if let factors = try rotaryFactors() {
      if let scaling = try llama3Scaling(factors) { return scaling }
      return try perFrequencyScaling(factors)
    }
    let type = try string("rope.scaling.type") ?? "none"
    switch type {
    case "none": return nil
    case "linear": return ["rope_type": "linear", "factor": .double(try requiredDouble("rope.scaling.factor"))]
    case "yarn": return try yarnScaling()
    default:
      throw CheckpointError(
        .unsupported, at: file.path, in: "key “\(architecture).rope.scaling.type”",
        "“\(type)” is not supported; none, linear and yarn are")
    }
  }

  private func yarnScaling() throws(CheckpointError) -> JSON {
    var scaling: OrderedDictionary<String, JSON> = [
      "rope_type": "yarn", "factor": .double(try requiredDouble("rope.scaling.factor")),
    ]
    if let length = try int("rope.scaling.original_context_length") {
      scaling["original_max_position_embeddings"] = .int(length)
    }
    if let fast = try double("rope.scaling.yarn_beta_fast") { scaling["beta_fast"] = .double(fast) }
    if let slow = try double("rope.scaling.yarn_beta_slow") { scaling["beta_slow"] = .double(slow) }
    return .object(scaling)
  }

  /// The divisors of the rotary frequencies, one for each pair of a head, that the converter writes for Llama 3.1 and later.
  private func rotaryFactors() throws(CheckpointError) -> [Float]? {
    let name = "rope_freqs.weight"
    guard let info = file.info(name) else { return nil }
    guard info.storedType == "F32", info.shape == [try headSize() / 2] else {
      throw CheckpointError(
        .malformed, at: file.path, in: "tensor “\(name)”", "is not one F32 number for each of \(try headSize() / 2) frequencies")
    }
    return try file.floats(of: name)
  }

  /// The parameters of Llama 3's rule where they give the factors: frequencies whose wave is longer than `L / low` tokens are divided
  /// by `factor`, those shorter than `L / high` are kept, and those in between are blended, with L = 8192, low = 1 and high = 4 as in
  /// every release. https://arxiv.org/abs/2407.21783
  private func llama3Scaling(_ factors: [Float]) throws(CheckpointError) -> JSON? {
    let (length, low, high) = (8192.0, 1.0, 4.0)
    guard let factor = factors.last.map(Double.init), factor > 1 else { return nil }
    let base = try double("rope.freq_base") ?? 10_000
    for (index, found) in factors.enumerated() {
      let wave = 2 * Double.pi * pow(base, Double(index) / Double(factors.count))
      let blend = min(1, max(0, (length / wave - low) / (high - low)))
      let expected = 1 / ((1 - blend) / factor + blend)
      guard abs(Double(found) - expected) <= 1e-4 * expected else { return nil }
    }
    return [
      "rope_type": "llama3", "factor": .double(factor), "low_freq_factor": .double(low), "high_freq_factor": .double(high),
      "original_max_position_embeddings": .int(Int(length)),
    ]
  }

  /// Factors that follow no known rule, as they are: `longrope` divides each frequency by its own and, with an attention factor of 1,
  /// does nothing else.
  private func perFrequencyScaling(_ factors: [Float]) throws(CheckpointError) -> JSON {
    let list = JSON.array(factors.map { .double(Double($0)) })
    return [
      "rope_type": "longrope", "short_factor": list, "long_factor": list, "attention_factor": 1.0, "factor": 1.0,
      "original_max_position_embeddings": .int(try size("context_length")),
    ]
  }
}

extension GGUFFile {
  /// The elements of an F32 tensor, straight from the file.
  fileprivate func floats(of name: String) throws(CheckpointError) -> [Float] {
    guard let entry = header.entries[name] else { throw absent(name) }
    return stride(from: entry.range.lowerBound, to: entry.range.upperBound, by: 4).map(float(at:))
  }
}
