import Foundation
import OrderedCollections
import Text

/// 1 where the completion, or the part of it that a pattern finds, is what a column of the data says, otherwise 0.
///
/// White space around both does not count.
public struct ExactMatchReward: RewardConfiguration, Reward {
  /// `exact_match`.
  public static let type = "exact_match"
  /// The column with the answer.
  public let column: String
  /// Finds what is compared: its first group, or all it matches; nil to compare the whole completion. The last find counts.
  public let extract: TextPattern?
  /// Whether capital letters are like small ones.
  public let ignoresCase: Bool

  /// `column` (`answer`), `extract`, `ignore_case`.
  public init(_ settings: RewardSettings) throws(RewardError) {
    column = try settings.string("column") ?? "answer"
    extract = try settings.string("extract").map { text throws(RewardError) in try TextPattern(text, key: "extract") }
    ignoresCase = try settings.bool("ignore_case") ?? false
  }

  /// As a recipe gives them.
  public var settings: OrderedDictionary<String, JSON> {
    var settings: OrderedDictionary<String, JSON> = ["column": .string(column), "ignore_case": .bool(ignoresCase)]
    if let extract { settings["extract"] = .string(extract.text) }
    return settings
  }

  /// 1 or 0; nil where the row has no such column.
  public func score(_ completions: [Completion]) -> RewardScores {
    var scores = RewardScores([])
    for completion in completions {
      do {
        scores.values.append(try score(completion))
      } catch {
        scores.values.append(nil)
        if !scores.problems.contains(error.description) { scores.problems.append(error.description) }
      }
    }
    return scores
  }

  private func score(_ completion: Completion) throws(RewardError) -> Double {
    guard let answer = completion.columns[column], !answer.isNull else {
      let known = completion.columns.keys.joined(separator: ", ")
      throw RewardError("column", "names “\(column)”, which a row lacks" + (known.isEmpty ? "" : "; it has \(known)"))
    }
    var found: String? = completion.text
    if let extract { found = try extract.lastFind(in: completion.text) }
    guard let found else { return 0 }
    return normalized(found) == normalized(answer.string ?? answer.text()) ? 1 : 0
  }

  private func normalized(_ text: String) -> String {
    let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
    return ignoresCase ? trimmed.lowercased() : trimmed
  }
}
