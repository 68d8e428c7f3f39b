import Foundation
import OrderedCollections
import Text

extension AnswerRow {
  /// Reads one element of `verdicts`.
  static func verdict(_ json: JSON) throws(PreferenceError) -> (rater: Rater, verdict: Verdict) {
    guard let name = json["rater"]?.string, !name.isEmpty else { throw PreferenceError("has no “rater”") }
    guard let choice = json["choice"]?.string.flatMap(Choice.init) else {
      throw PreferenceError("has no “choice” that is one of a, b, tie, skip")
    }
    let kind = try json["kind"].map { value throws(PreferenceError) in
      guard let kind = value.string.flatMap(Rater.Kind.init) else {
        throw PreferenceError("has a “kind” that is none of person, judge, data")
      }
      return kind
    }
    guard let shown = AnswerOrder(rawValue: json["shown"]?.string ?? "ab") else {
      throw PreferenceError("has a “shown” that is neither ab nor ba")
    }
    let probability = json["probability"]?.double
    guard probability.map((0.0...1.0).contains) ?? true else {
      throw PreferenceError("has a “probability” that is not between 0 and 1")
    }
    let combination: Rater.Combination =
      switch json["combination"]?.string {
      case "agreement": .agreement
      case "mean": .mean(margin: json["margin"]?.double ?? 0)
      default: .newest
      }
    let date = json["at"]?.string.flatMap { try? Date($0, strategy: .iso8601) }
    return (
      Rater(
        name, kind: kind ?? .person, model: json["model"]?.string, rubric: json["rubric"]?.string, combination: combination),
      Verdict(choice, shown: shown, probability: probability, reason: json["reason"]?.string, date: date ?? Date())
    )
  }

  /// The element that reads back to a verdict.
  static func json(_ rater: Rater, _ verdict: Verdict) -> JSON {
    var members: OrderedDictionary<String, JSON> = [
      "rater": .string(rater.name), "kind": .string(rater.kind.rawValue), "choice": .string(verdict.choice.rawValue),
      "shown": .string(verdict.shown.rawValue), "at": .string(verdict.date.ISO8601Format()),
    ]
    if let probability = verdict.probability { members["probability"] = .double(probability) }
    if let reason = verdict.reason { members["reason"] = .string(reason) }
    if let model = rater.model { members["model"] = .string(model) }
    if let rubric = rater.rubric { members["rubric"] = .string(rubric) }
    switch rater.combination {
    case .newest: break
    case .agreement: members["combination"] = "agreement"
    case .mean(let margin): (members["combination"], members["margin"]) = ("mean", .double(margin))
    }
    return .object(members)
  }
}
