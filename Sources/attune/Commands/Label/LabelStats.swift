import ArgumentParser
import Evaluation
import Foundation
import OrderedCollections
import Preferences
import Text

/// `attune label stats`: what a store holds, and how far its raters agree.
struct LabelStats: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stats",
    abstract: "Count verdicts, and measure agreement and position bias.",
    discussion: """
      Agreement counts pairs on which both raters have an opinion: percent, Cohen's kappa, and Krippendorff's alpha over all. \
      “first” is the share of verdicts for the answer shown first, with its 95 % interval: 50 % where its place does not count.
      """)

  @OptionGroup var store: StoreArguments

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    let statistics = try PreferenceStatistics(PreferenceStore(store.store, creating: false))
    try Terminal.output.write(json ? statistics.json.text() + "\n" : statistics.lines.joined(separator: "\n") + "\n")
  }
}

extension PreferenceStatistics {
  /// Tables for people.
  fileprivate var lines: [String] {
    var lines = ["\(pairs) pairs of answers to \(prompts) prompts"]
    guard !raters.isEmpty else { return lines + ["nobody has said anything of them yet"] }
    var table = TextTable(
      [["rater", "kind", "opinions", "ties", "skipped", "first", "95 % interval", "same in both orders", "failures"]],
      numbers: [2, 3, 4, 5, 6, 7, 8])
    for rater in raters { table.append(rater.cells) }
    lines += [""] + table.lines
    guard !agreements.isEmpty else { return lines }
    var second = TextTable([["raters", "pairs", "agree", "Cohen's kappa"]], numbers: [1, 2, 3])
    for both in agreements {
      let agreement = both.agreement
      second.append([
        "\(both.first), \(both.second)", "\(agreement.items)", percent(agreement.share), agreement.kappa.map(decimals) ?? "–",
      ])
    }
    lines += [""] + second.lines
    if raters.count > 2 { lines += ["", "Krippendorff's alpha over all raters: \(alpha.map(decimals) ?? "–")"] }
    return lines
  }

  fileprivate var json: JSON {
    [
      "prompts": .int(prompts), "pairs": .int(pairs), "raters": .array(raters.map(\.json)),
      "agreements": .array(
        agreements.map { both in
          [
            "raters": [.string(both.first), .string(both.second)], "pairs": .int(both.agreement.items),
            "agreed": .int(both.agreement.agreed), "kappa": both.agreement.kappa.map(JSON.double) ?? .null,
          ]
        }), "alpha": alpha.map(JSON.double) ?? .null,
    ]
  }
}

extension PreferenceStatistics.OfRater {
  private var position: Proportion { Proportion(choseFirst, of: decided) }

  fileprivate var cells: [String] {
    [
      rater.name, rater.kind.rawValue, "\(opinions)", "\(ties)", "\(choices[.skip] ?? 0)",
      decided > 0 ? percent(position.value) : "–",
      decided > 0 ? "\(percent(position.low)) … \(percent(position.high))" : "–",
      bothOrders > 0 ? percent(Double(consistent) / Double(bothOrders)) : "–", "\(failures.count)",
    ]
  }

  fileprivate var json: JSON {
    [
      "name": .string(rater.name), "kind": .string(rater.kind.rawValue), "model": rater.model.map(JSON.string) ?? .null,
      "opinions": .int(opinions), "ties": .int(ties),
      "verdicts": .object(
        OrderedDictionary(uniqueKeysWithValues: Choice.allCases.map { ($0.rawValue, .int(choices[$0] ?? 0)) })),
      "decided": .int(decided), "chose_first": .int(choseFirst), "chose_first_low": .double(position.low),
      "chose_first_high": .double(position.high), "both_orders": .int(bothOrders), "consistent": .int(consistent),
      "always_first": .int(alwaysFirst), "always_second": .int(alwaysSecond),
      "failures": .array(
        failures.map { ["pair": .int(Int($0.pair)), "shown": .string($0.shown.rawValue), "problem": .string($0.problem)] }),
    ]
  }
}

/// `61.3 %`.
private func percent(_ share: Double?) -> String {
  share.map { ($0 * 100).formatted(.number.precision(.fractionLength(1)).grouping(.never)) + " %" } ?? "–"
}

private func decimals(_ value: Double) -> String { value.formatted(.number.precision(.fractionLength(3))) }
