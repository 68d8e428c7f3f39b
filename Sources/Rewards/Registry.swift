import OrderedCollections
import Text

/// Every reward that is a program, by the name a recipe gives it.
public enum Rewards {
  /// The table.
  public static let kinds: [any RewardConfiguration.Type] = [
    ExactMatchReward.self, RegexReward.self, JSONSchemaReward.self, LengthReward.self, CommandReward.self,
  ]

  /// A reward by its name and settings.
  ///
  /// - Parameters:
  ///   - type: the name.
  ///   - settings: its own keys.
  ///   - kinds: the rewards there are.
  /// - Throws: ``RewardError`` for a name that is not known, a key that is not, or a value that does not fit.
  public static func make(
    _ type: String, _ settings: OrderedDictionary<String, JSON>, among kinds: [any RewardConfiguration.Type] = Rewards.kinds
  ) throws(RewardError) -> any RewardConfiguration {
    guard let kind = kinds.first(where: { $0.type == type }) else {
      throw RewardError("type", "is “\(type)”; known are \(kinds.map { $0.type }.joined(separator: ", "))")
    }
    let reader = RewardSettings(settings)
    let reward = try kind.init(reader)
    try reader.finish()
    return reward
  }
}
