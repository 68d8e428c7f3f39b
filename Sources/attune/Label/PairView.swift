import Preferences
import Text

/// A pair of answers as a terminal shows it: the prompt, and the answers side by side where there is room, else one below the other.
struct PairView {
  let pair: AnswerPair
  let shown: AnswerOrder
  /// `3 of 40`.
  let place: String

  /// The least columns for which two answers stand side by side.
  static let sideBySide = 60

  /// The lines for a terminal of so many columns.
  func lines(width: Int, terminal: Terminal) -> [String] {
    let width = max(1, width)
    let answers = pair.shown(shown)
    let (first, second) = (answers.first.plain, answers.second.plain)
    let head = [rule(place, width, terminal)] + pair.prompt.plain.wrapped(to: width) + [""]
    guard width >= Self.sideBySide else {
      return head + [rule("A", width, terminal)] + first.wrapped(to: width) + ["", rule("B", width, terminal)]
        + second.wrapped(to: width) + [""]
    }
    let column = (width - 3) / 2
    let (left, right) = (first.wrapped(to: column), second.wrapped(to: column))
    var body = [rule("A", column, terminal) + "   " + rule("B", column, terminal)]
    for line in 0..<max(left.count, right.count) {
      let start = line < left.count ? left[line] : ""
      let end = line < right.count ? right[line] : ""
      body.append(start.padded(to: column) + terminal.styled(" │ ", .dim) + end)
    }
    return head + body + [""]
  }

  /// A name with a line behind it.
  private func rule(_ name: String, _ width: Int, _ terminal: Terminal) -> String {
    let name = String(name.prefix(width))
    let rest = max(0, width - name.displayWidth - 1)
    return terminal.styled(name, .bold, .cyan)
      + (rest > 0 ? " " + terminal.styled(String(repeating: "─", count: rest), .dim) : "")
  }
}
