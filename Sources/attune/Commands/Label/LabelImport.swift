import ArgumentParser
import Preferences

/// `attune label import`: what others said, into a store.
struct LabelImport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Take pairs and what is said of them into a store.",
    discussion: """
      Preference data of every format that tuning reads are taken as the verdicts of one rater; what `attune label export \
      --everything` wrote keeps its raters. What is there already stays as it is.
      """)

  @OptionGroup var store: StoreArguments

  @Argument(help: ArgumentHelp("The files.", valueName: "file"))
  var inputs: [String]

  @Option(help: ArgumentHelp("Who is said to have chosen in preference data (default: the file's path).", valueName: "name"))
  var rater: String?

  func run() throws {
    let rows = try inputs.map { (path: $0, rows: try PairFile.read($0, chosenBy: rater ?? $0)) }
    let store = try PreferenceStore(store.store)
    for (path, rows) in rows { Log.note("\(path): \(try store.take(rows, withVerdicts: true).summary)") }
  }
}
