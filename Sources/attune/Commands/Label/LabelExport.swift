import ArgumentParser
import Checkpoints
import Foundation
import Preferences
import Text

/// `attune label export`: what a store says, as data.
struct LabelExport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write the preferences of a store as data that tuning reads.",
    discussion: """
      A line {"prompt", "chosen", "rejected", "votes"} for each pair on which more raters prefer one answer than the other; \
      ties, and pairs with too few opinions, are counted and left out. --everything writes each pair with every verdict instead, \
      for `attune label import` into another store.
      """)

  @OptionGroup var store: StoreArguments

  @Option(name: .shortAndLong, help: ArgumentHelp("Where to write (default: standard output).", valueName: "file"))
  var output: String?

  @Option(help: ArgumentHelp("Listen to this rater; several may be named (default: all).", valueName: "name"))
  var rater: [String] = []

  @Option(help: ArgumentHelp("Leave out pairs on which fewer raters have an opinion.", valueName: "n"))
  var minimum = 1

  @Flag(help: "Write every pair with every verdict.")
  var everything = false

  func validate() throws {
    if minimum < 1 { throw ValidationError("--minimum must be 1 or more, not \(minimum)") }
    if everything, !rater.isEmpty || minimum > 1 {
      throw ValidationError("--everything leaves nothing out: drop --rater and --minimum")
    }
  }

  func run() throws {
    let store = try PreferenceStore(store.store, creating: false)
    if everything { return try write(PreferenceExport.everything(of: store).map { $0.text() }) }
    let export = try PreferenceExport(store, raters: rater.isEmpty ? nil : rater, minimum: minimum)
    try write(export.rows.map { $0.text() })
    Log.note("\(export.rows.count) preferences; left out: \(export.ties) ties, \(export.undecided) with too few opinions")
  }

  private func write(_ lines: [String]) throws {
    guard let output, output != "-" else {
      for line in lines { try Terminal.output.write(line + "\n") }
      return
    }
    try AtomicFile.write(to: URL(filePath: output)) { sink in for line in lines { try sink.write(line + "\n") } }
  }
}
