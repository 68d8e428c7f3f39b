import Models
import NN
import Torch
import Tuners

/// What the weights of projections are kept in, frozen.
public struct Quantization: Sendable, Hashable {
  /// The formats by the names that recipes and commands give them.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// 4 bits, quantiles of a normal distribution.
    case nf4
    /// 4 bits, floating point.
    case fp4
    /// 8 bits, a scale for each row.
    case int8
    /// What the file has packed as it is there: the blocks of a GGUF file, what bitsandbytes packed.
    case stored
  }

  /// The format.
  public var kind: Kind
  /// Whether the scales of 4 bits are put into 8.
  public var doubleQuant = true
  /// Modules that stay dense: a path, the start of one up to a dot, or the end of one.
  public var skipModules = ["lm_head"]

  /// Quantization in a format, with the defaults of the other settings.
  public init(_ kind: Kind) { self.kind = kind }

  /// Reads `{type: nf4, double_quant: true, skip_modules: [lm_head]}`.
  init(_ node: RecipeNode) throws(RecipeError) {
    guard let kind = try node.choice("type", Kind.allCases.map { ($0.rawValue, $0) }) else {
      throw node.error("type", "is missing: nf4, fp4, int8 or stored")
    }
    self.init(kind)
    if let nested = try node.bool("double_quant") {
      guard kind == .nf4 || kind == .fp4 else { throw node.error("double_quant", "is for nf4 and fp4, not for \(kind.rawValue)") }
      doubleQuant = nested
    }
    skipModules = try node.strings("skip_modules") ?? skipModules
  }

  /// The quantization that an adapter noted of its base; nil where the model's files have it of themselves.
  public init?(_ noted: BaseQuantization) {
    guard let kind = Kind(rawValue: noted.type), kind != .stored else { return nil }
    (self.kind, doubleQuant, skipModules) = (kind, noted.doubleQuant, noted.skipModules)
  }

  /// What an adapter notes of its base; nil where the files say it.
  public var record: BaseQuantization? {
    switch kind {
    case .nf4, .fp4: BaseQuantization(kind.rawValue, doubleQuant: doubleQuant, skipModules: skipModules)
    case .int8: BaseQuantization(kind.rawValue, skipModules: skipModules)
    case .stored: nil
    }
  }

  /// The same for the model's loader.
  var packing: ProjectionPacking {
    let format: PackedWeight.Format? =
      switch kind {
      case .nf4: .nf4
      case .fp4: .fp4
      case .int8: .int8
      case .stored: nil
      }
    return ProjectionPacking(format, doubleQuant: doubleQuant, skipped: skipModules)
  }
}
