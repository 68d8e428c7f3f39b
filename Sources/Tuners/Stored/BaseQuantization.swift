import OrderedCollections
import Text

/// How the weights of a base were quantized while an adapter was trained over it.
public struct BaseQuantization: Sendable, Hashable, CustomStringConvertible {
  /// `nf4`, `fp4`, `int8`, or what the files call the type that most of them are in: `Q4_K`.
  public var type: String
  /// Whether the scales of 4 bits were put into 8.
  public var doubleQuant: Bool
  /// Modules that stayed dense: a path, the start of one up to a dot, or the end of one.
  public var skipModules: [String]

  /// A quantization by its parts.
  public init(_ type: String, doubleQuant: Bool = false, skipModules: [String] = []) {
    (self.type, self.doubleQuant, self.skipModules) = (type, doubleQuant, skipModules)
  }

  private static let doubleSuffix = ", double"

  /// Reads ``description``.
  public init(described text: String) {
    let isDouble = text.hasSuffix(Self.doubleSuffix)
    self.init(isDouble ? String(text.dropLast(Self.doubleSuffix.count)) : text, doubleQuant: isDouble)
  }

  /// The type, and whether scales are quantized: `nf4, double`.
  public var description: String { doubleQuant ? type + Self.doubleSuffix : type }

  /// Whether both give a model the same numbers, but for modules that only one of them left dense.
  public func isSame(as other: BaseQuantization) -> Bool { type == other.type && doubleQuant == other.doubleQuant }

  /// Reads `{"type": "nf4", "double_quant": true, "skip_modules": ["lm_head"]}`, or a type as text; nil for anything else.
  init?(_ json: JSON) {
    if let text = json.string {
      self.init(described: text)
      return
    }
    guard let type = json["type"]?.string, !type.isEmpty else { return nil }
    self.init(
      type, doubleQuant: json["double_quant"]?.bool ?? false,
      skipModules: (json["skip_modules"]?.array ?? []).compactMap(\.string))
  }

  /// The same as a recipe has it.
  var json: JSON {
    var members: OrderedDictionary<String, JSON> = ["type": .string(type)]
    if ["nf4", "fp4"].contains(type) { members["double_quant"] = .bool(doubleQuant) }
    if !skipModules.isEmpty { members["skip_modules"] = .array(skipModules.map(JSON.string)) }
    return .object(members)
  }
}
