import ArgumentParser
import Foundation
import Preferences

/// `attune label rate`: pair after pair, one key each.
struct LabelRate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rate",
    abstract: "Show pairs of answers, and take a key for each.",
    discussion: """
      Keys: a or ← the left (upper) answer is better, b or → the right (lower) one, t they tie, s skip, u undo, n note why, q quit. \
      Each verdict is in the store at once; the next sitting goes on where this one stops. Keys may come out of a pipe as well.
      """)

  @OptionGroup var store: StoreArguments

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "Pairs to add first: preference data, or lines {\"prompt\": …, \"answers\": [two or more]}.", valueName: "file"))
  var input: String?

  @Option(help: ArgumentHelp("Who labels (default: the user's name).", valueName: "name"))
  var rater: String?

  @Option(help: ArgumentHelp("What decides which answer stands left.", valueName: "n"))
  var seed: UInt64 = 0

  @Flag(help: "Also show what was skipped before.")
  var skipped = false

  func run() throws {
    let store = try PreferenceStore(store.store, creating: input != nil)
    if let input {
      Log.note("\(input): \(try store.take(PairFile.read(input, chosenBy: input), withVerdicts: false).summary)")
    }
    let name = rater ?? ProcessInfo.processInfo.environment["USER"] ?? NSUserName()
    guard !name.isEmpty else { throw CommandError("the user's name is not known; say who labels with --rater") }
    var session = try LabelingSession(store, rater: name, seed: seed, showingSkipped: skipped)
    guard session.total > 0 else { throw CommandError("the store has no pairs; add some with --input") }
    try StopSignal.handling { try sitting(&session) }
    Log.note("\(name): \(session.given) labelled in this sitting, \(session.remaining) of \(session.total) left")
  }

  private func sitting(_ session: inout LabelingSession) throws {
    let keys = KeyReader()
    defer { keys.restore() }
    var reason: String?
    while let (pair, shown) = try session.current() {
      let view = PairView(pair: pair, shown: shown, place: "\(session.total - session.remaining + 1) of \(session.total)")
      let lines = view.lines(width: Terminal.output.width, terminal: Terminal.output)
      try Terminal.output.write(lines.joined(separator: "\n") + "\n" + Self.help + "\n")
      guard try decide(&session, keys, &reason) else { return }
    }
    try Terminal.output.write("all pairs are labelled\n")
  }

  private static let help = Terminal.output.styled(
    "a left  b right  t tie  s skip  u undo  n note  q quit", .dim)

  /// Takes keys until one of them leads to another pair; false where there are no more.
  private func decide(_ session: inout LabelingSession, _ keys: KeyReader, _ reason: inout String?) throws -> Bool {
    while let key = keys.next() {
      switch key {
      case "a", "A", "1": try session.decide(.a, reason: reason)
      case "b", "B", "2": try session.decide(.b, reason: reason)
      case "t", "T", "=": try session.decide(.tie, reason: reason)
      case "s", "S": try session.decide(.skip, reason: reason)
      case "u", "U":
        guard try session.undo() else {
          try Terminal.output.write("there is nothing to undo\n")
          continue
        }
      case "n", "N":
        try Terminal.output.write("why: ")
        reason = keys.line()
        continue
      case "q", "Q": return false
      default:
        try Terminal.output.write("“\(key)” is no key here. \(Self.help)\n")
        continue
      }
      reason = nil
      return true
    }
    return false
  }
}
