import OrderedCollections
import Text
import Tuners

/// The optimizer of a run: its rule, and what holds for any rule.
public struct OptimizerOptions: Sendable {
  /// The rule.
  public var method: any OptimizerMethod
  /// Parts of paths, or expressions that match whole paths, with what the learning rate is multiplied by there; the first that fits counts.
  public var rateScales: OrderedDictionary<String, Double> = [:]
  /// The same with decays in place of the rule's.
  public var weightDecays: OrderedDictionary<String, Double> = [:]
  /// Whether each parameter is moved inside the backward pass, as soon as its gradient is complete, which is then given up.
  public var isInBackward = false
  /// Whether parameters kept in bfloat16 are rounded up or down at random, so that the mean is exact; else to nearest.
  public var roundsAtRandom = true
  /// The folder of the file of what is paged; nil for the run's.
  public var pageFolder: String?

  /// The options with this rule.
  public init(_ method: any OptimizerMethod = AdamW()) { self.method = method }

  /// Every setting but the rule's own.
  public static var settings: [Setting<Self>] {
    [
      .numbers("lr_scale_pattern", \.rateScales), .numbers("weight_decay_pattern", \.weightDecays),
      .bool("in_backward", \.isInBackward), .bool("stochastic_rounding", \.roundsAtRandom), .string("page_folder", \.pageFolder),
    ]
  }

  /// Reads a recipe's keys but `type`.
  ///
  /// - Throws: what `source` throws, and `TunerError` where settings do not go together.
  public mutating func read(recipe source: any SettingsSource) throws {
    try method.read(recipe: source)
    for setting in Self.settings { try setting.read(recipe: source, into: &self) }
    for (key, pattern, value) in rateScales.map({ ("lr_scale_pattern", $0, $1) })
      + weightDecays.map({ ("weight_decay_pattern", $0, $1) })
    {
      guard (0...1e6).contains(value) else { throw source.error(key, "must give numbers from 0 to 1e6, not \(value)") }
      do { _ = try PathPattern(pattern) } catch { throw source.error(key, "\(error)") }
    }
  }

  /// The settings as a recipe gives them, the rule's name first.
  public var recipeSettings: [(key: String, value: JSON)] {
    [("type", .string(method.name))] + method.recipeSettings + Self.settings.compactMap { $0.recipeValue(self) }
  }

  /// The value of the first pattern that fits a path.
  static func value(_ patterns: OrderedDictionary<String, Double>, for path: String) throws -> Double? {
    try patterns.first { try PathPattern($0.key).matches(path) }?.value
  }
}

/// A part of a path such as `layers.0.mlp`, between points; or, where it has other signs than a path, an expression that matches whole
/// paths.
private struct PathPattern {
  private let text: String
  private let expression: Regex<AnyRegexOutput>?

  init(_ text: String) throws {
    self.text = text
    let isPart = text.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." }
    expression = isPart ? nil : try Regex(text)
  }

  func matches(_ path: String) -> Bool {
    guard let expression else { return ".\(path).".contains(".\(text).") }
    return path.wholeMatch(of: expression) != nil
  }
}
