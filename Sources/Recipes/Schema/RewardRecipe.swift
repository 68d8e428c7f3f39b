import OrderedCollections
import Rewards
import Text

/// One of the rewards of a recipe: `{type: regex, pattern: …, weight: 1}`.
public struct RewardRecipe: Sendable {
  /// Which, with its settings.
  public let configuration: any RewardConfiguration
  /// How strongly it counts.
  public let weight: Double
  /// What reports call it.
  public let name: String

  /// Every reward that a recipe may name: those that are programs, and those that need a model.
  public static let kinds: [any RewardConfiguration.Type] = Rewards.kinds

  init(_ node: RecipeNode) throws(RecipeError) {
    var settings = node.json()
    guard let type = settings.removeValue(forKey: "type")?.string else {
      throw node.error("type", "is missing; known are \(Self.kinds.map { $0.type }.joined(separator: ", "))")
    }
    let weight = settings.removeValue(forKey: "weight") ?? 1
    guard let number = weight.double, number.isFinite else { throw node.error("weight", "must be a number") }
    let name = settings.removeValue(forKey: "name") ?? .string(type)
    guard let text = name.string, !text.isEmpty else { throw node.error("name", "must be text") }
    (self.weight, self.name) = (number, text)
    do { configuration = try Rewards.make(type, settings, among: Self.kinds) } catch {
      throw node.error(error.key, error.problem)
    }
  }

  /// As a recipe gives it.
  var json: JSON {
    let type = Swift.type(of: configuration).type
    var members: OrderedDictionary<String, JSON> = ["type": .string(type), "name": .string(name), "weight": .double(weight)]
    members.merge(configuration.settings) { own, _ in own }
    return .object(members)
  }
}
