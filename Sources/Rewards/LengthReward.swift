import OrderedCollections
import Text

/// 1 where the completion is from `min` to `max` long; outside it falls to 0 over `slope`, or at once.
///
/// With `max` and `slope` it is DAPO's soft punishment of overlong answers, shifted by 1. Yu et al., arXiv:2503.14476.
public struct LengthReward: RewardConfiguration, Reward {
  /// `length`.
  public static let type = "length"

  /// What is counted.
  public enum Unit: String, Sendable, Hashable, CaseIterable {
    /// Tokens of the model, the one that ended it included.
    case tokens
    /// Characters, as people see them.
    case characters
    /// What stands between white space.
    case words
  }

  /// What is counted.
  public let unit: Unit
  /// The least that is good.
  public let minimum: Int
  /// The most that is good; nil for no limit.
  public let maximum: Int?
  /// How far outside the reward reaches 0.
  public let slope: Int

  /// `unit` (`tokens`), `min` (0), `max`, `slope` (0).
  public init(_ settings: RewardSettings) throws(RewardError) {
    unit = try settings.choice("unit", Unit.self) ?? .tokens
    minimum = try settings.int("min", in: 0...1 << 30) ?? 0
    maximum = try settings.int("max", in: 0...1 << 30)
    slope = try settings.int("slope", in: 0...1 << 30) ?? 0
    if minimum == 0, maximum == nil { throw RewardError("max", "is missing, and so is min: give one of them") }
    if let maximum, maximum < minimum { throw RewardError("max", "is \(maximum), less than min, \(minimum)") }
  }

  /// As a recipe gives them.
  public var settings: OrderedDictionary<String, JSON> {
    var settings: OrderedDictionary<String, JSON> = ["unit": .string(unit.rawValue), "min": .int(minimum)]
    if let maximum { settings["max"] = .int(maximum) }
    settings["slope"] = .int(slope)
    return settings
  }

  /// 0 … 1.
  public func score(_ completions: [Completion]) -> RewardScores { RewardScores(completions.map { worth(of: length($0)) }) }

  private func length(_ completion: Completion) -> Int {
    switch unit {
    case .tokens: completion.ids.count
    case .characters: completion.text.count
    case .words: completion.text.split(whereSeparator: \.isWhitespace).count
    }
  }

  private func worth(of length: Int) -> Double {
    let outside = max(minimum - length, length - (maximum ?? length), 0)
    guard outside > 0 else { return 1 }
    return slope == 0 ? 0 : max(0, 1 - Double(outside) / Double(slope))
  }
}
