import NN
import OrderedCollections
import Text
import Torch

/// Tuning of the model's own weights: all of them, or those that are named; the others are frozen.
///
/// What is tuned is kept in float32, whatever the model computes in, or in bfloat16 alone.
public struct FullConfiguration: TuningMethod, Hashable {
  /// What is tuned: `all`; `biases` (Ben Zaken et al., arXiv:2106.10199); `norms`; `last-N-layers`; parts of paths, such as `lm_head` or
  /// `layers.0.mlp`; expressions that match whole paths. A parameter is tuned where one of them fits.
  public var trainable = ["all"]
  /// What the numbers that are tuned are kept in.
  public var weightsDtype = WeightsType.float32

  /// An element type of tuned weights.
  public enum WeightsType: String, Sendable, Hashable, CaseIterable {
    /// float32, in which small steps count.
    case float32 = "f32"
    /// bfloat16 alone, by half the memory: the optimizer rounds at random.
    case bfloat16 = "bf16"
  }

  /// Everything is tuned.
  public init() {}

  /// What is named is tuned.
  public init(trainable: [String]) { self.trainable = trainable }

  /// `full`.
  public static var name: String { "full" }
  /// Nil.
  public static var peftType: String? { nil }

  /// Every setting.
  public static var settings: [Setting<Self>] {
    [.strings("trainable", \.trainable), .choice("weights_dtype", \.weightsDtype)]
  }

  /// Puts copies in the place of what is tuned. Where that is everything, the base's own numbers are given up.
  public func install(in model: any CausalLM, named name: String, strict: Bool) throws -> Adapter {
    let parameters = model.parameters().filter { !$0.path.contains(".adapters.") }
    let (norms, layers) = (Set(model.norms()), model.shape.layerCount)
    var chosen = Set<String>()
    for entry in trainable {
      let rule = try TrainableRule(entry, layerCount: layers)
      let matching = parameters.map(\.path).filter { rule.matches($0, isNorm: norms.contains($0.modulePath)) }
      guard !matching.isEmpty else { throw nothing(for: entry, parameters.map(\.path)) }
      chosen.formUnion(matching)
    }
    let dtype = weightsDtype == .float32 ? DType.float32 : .bfloat16
    guard dtype == .float32 || model.dtype == dtype else {
      throw TunerError("weights_dtype: weights kept in bf16 need a model that computes in it: set train.dtype to bf16")
    }
    let overlay = ParameterOverlay(isPermanent: parameters.allSatisfy { chosen.contains($0.path) }, dtype: dtype)
    for (path, slots) in places(of: parameters, tied: model.isTied) where chosen.contains(path) { try overlay.add(path, slots) }
    return Adapter(name: name, configuration: self, parts: [overlay])
  }

  /// Each parameter once: a head that is the token table stands in two places.
  private func places(
    of parameters: [(path: String, slot: ParameterSlot, value: Tensor)], tied: Bool
  ) -> [(path: String, slots: [ParameterSlot])] {
    var places: [(path: String, slots: [ParameterSlot])] = []
    for (path, slot, value) in parameters {
      let first =
        tied && path == "lm_head.weight" ? places.firstIndex { $0.slots[0].value?.isSameMemory(as: value) == true } : nil
      if let first { places[first].slots.append(slot) } else { places.append((path, [slot])) }
    }
    return places
  }

  /// Their rows are the model's own: trained where the token table is.
  public func train(newTokens: [Int], hasOwnHead: Bool) throws(TunerError) {
    let tables = ["all", "embed_tokens", "wte"]
    guard !trainable.contains(where: tables.contains) else { return }
    throw TunerError("trainable: there are new tokens, and the token table is frozen; add embed_tokens (wte in GPT-2)")
  }

  private func nothing(for entry: String, _ paths: [String]) -> TunerError {
    var leaves: [String] = []
    for leaf in paths.map({ $0.split(separator: ".").suffix(2).joined(separator: ".") }) where !leaves.contains(leaf) {
      leaves.append(leaf)
    }
    return TunerError("trainable: “\(entry)” matches no parameter of this model; it has \(leaves.joined(separator: ", "))")
  }
}

/// One entry of `trainable`, ready to be asked.
private struct TrainableRule {
  private enum Kind {
    case all, biases, norms
    case layers(Set<Int>)
    case part(String)
    case expression(Regex<AnyRegexOutput>)
  }

  private let kind: Kind

  init(_ entry: String, layerCount: Int) throws(TunerError) {
    let words = entry.split(separator: "-")
    switch entry {
    case "all": kind = .all
    case "biases": kind = .biases
    case "norms": kind = .norms
    case _ where words.count == 3 && words[0] == "last" && words[2].hasPrefix("layer") && Int(words[1]) != nil:
      let count = Int(words[1]) ?? 0
      guard (1...layerCount).contains(count) else {
        throw TunerError("trainable: “\(entry)” must be from last-1-layers to last-\(layerCount)-layers, the model's layers")
      }
      kind = .layers(Set(layerCount - count..<layerCount))
    case _ where entry.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." }): kind = .part(entry)
    default: kind = .expression(try regularExpression(entry, key: "trainable"))
    }
  }

  func matches(_ path: String, isNorm: Bool) -> Bool {
    switch kind {
    case .all: true
    case .biases: path.hasSuffix(".bias")
    case .norms: isNorm
    case .layers(let layers): path.split(separator: ".").contains { Int($0).map(layers.contains) ?? false }
    case .part(let part): ".\(path).".contains(".\(part).")
    case .expression(let expression): path.wholeMatch(of: expression) != nil
    }
  }
}
