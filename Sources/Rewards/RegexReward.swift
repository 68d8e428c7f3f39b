import OrderedCollections
import Text

/// 1 where a regular expression is found in the completion, or is all of it, otherwise 0.
public struct RegexReward: RewardConfiguration, Reward {
  /// `regex`.
  public static let type = "regex"

  /// What the expression has to be.
  public enum Mode: String, Sendable, Hashable, CaseIterable {
    /// Somewhere in the completion.
    case search
    /// All of it.
    case full
  }

  /// The expression.
  public let pattern: TextPattern
  /// What it has to be.
  public let mode: Mode

  /// `pattern`, `mode` (`search`).
  public init(_ settings: RewardSettings) throws(RewardError) {
    guard let text = try settings.string("pattern") else { throw RewardError("pattern", "is missing: give a regular expression") }
    pattern = try TextPattern(text, key: "pattern")
    mode = try settings.choice("mode", Mode.self) ?? .search
  }

  /// As a recipe gives them.
  public var settings: OrderedDictionary<String, JSON> {
    ["pattern": .string(pattern.text), "mode": .string(mode.rawValue)]
  }

  /// 1 or 0; nil where the search took too long.
  public func score(_ completions: [Completion]) -> RewardScores {
    var scores = RewardScores([])
    for completion in completions {
      do {
        scores.values.append(try pattern.matches(completion.text, whole: mode == .full) ? 1 : 0)
      } catch {
        scores.values.append(nil)
        if !scores.problems.contains(error.description) { scores.problems.append(error.description) }
      }
    }
    return scores
  }
}
