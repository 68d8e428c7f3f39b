import ArgumentParser
import Preferences

/// `attune label`: preferences of people.
struct LabelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "label",
    abstract: "Say which of two answers is better, and look at what was said.",
    discussion: """
      A store is one SQLite file with pairs of answers and the verdicts of people and judges on them. Without the name of a part, \
      labelling begins.

      Example:
        attune label --store support.sqlite --input pairs.jsonl --rater ann
        attune label stats --store support.sqlite
        attune label export --store support.sqlite --output preferences.jsonl
      """,
    subcommands: [LabelRate.self, LabelStats.self, LabelExport.self, LabelImport.self],
    defaultSubcommand: LabelRate.self)
}

/// The store of preferences.
struct StoreArguments: ParsableArguments {
  @Option(help: ArgumentHelp("The preference store, an SQLite file.", valueName: "file"))
  var store: String
}

extension PreferenceStore.Imported {
  /// What was taken, in a line.
  var summary: String {
    var parts = ["\(newPairs) new pairs"]
    if knownPairs > 0 { parts.append("\(knownPairs) that were there") }
    if equalAnswers > 0 { parts.append("\(equalAnswers) rows left out, since their answers are equal") }
    if verdicts > 0 { parts.append("\(verdicts) verdicts") }
    if knownVerdicts > 0 { parts.append("\(knownVerdicts) verdicts that were there") }
    return parts.joined(separator: ", ")
  }
}
