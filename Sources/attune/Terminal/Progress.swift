/// A line on an interactive terminal that tells how far work has come; nothing elsewhere.
enum Progress {
  /// Shows a count, and leaves the line when the work is done.
  static func show(_ done: Int, of total: Int, _ what: String) {
    guard Terminal.error.isInteractive else { return }
    let line = Terminal.error.styled("\(done) of \(total) \(what)", .dim)
    try? Terminal.error.write("\r\u{1B}[K" + line + (done == total ? "\n" : ""))
  }
}
