import OrderedCollections
import Text

/// 1 where the completion is JSON and fits a schema; `partial` where it is JSON and does not fit; otherwise 0.
///
/// White space around it does not count; any other text does.
public struct JSONSchemaReward: RewardConfiguration, Reward {
  /// `json_schema`.
  public static let type = "json_schema"
  /// What it has to fit; without one any JSON is worth 1.
  public let schema: JSONSchema
  /// What JSON is worth that does not fit, 0 … 1.
  public let partial: Double

  /// `schema` (any JSON), `partial` (0).
  public init(_ settings: RewardSettings) throws(RewardError) {
    do { schema = try JSONSchema(settings.json("schema") ?? true) } catch {
      throw RewardError("schema", "cannot be used: \(error)")
    }
    partial = try settings.double("partial", in: 0...1) ?? 0
  }

  /// As a recipe gives them.
  public var settings: OrderedDictionary<String, JSON> { ["schema": schema.json, "partial": .double(partial)] }

  /// 0 … 1.
  public func score(_ completions: [Completion]) -> RewardScores {
    RewardScores(
      completions.map { completion in
        guard let value = try? JSON(parsing: completion.text, maximumDepth: 64) else { return 0 }
        return schema.mismatch(value) == nil ? 1 : partial
      })
  }
}
