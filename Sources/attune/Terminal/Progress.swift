/// A line on an interactive terminal that tells how far work has come; nothing elsewhere.
enum Progress {
  /// Shows a count, and leaves the line when the work is done.
  static func show(_ done: Int, of total: Int, _ what: String) {
    guard Terminal.error.isInteractive else { return }
    let line = Terminal.error.styled("\(done) of \(total) \(what)", .dim)
    try? Terminal.error.write("\r\u{1B}[K" + line + (done == total ? "\n" : ""))
  }

  /// Shows what is being done, in place of what was before; ``clear()`` takes it away.
  static func show(_ what: String) {
    guard Terminal.error.isInteractive else { return }
    let line = String(what.prefix(max(1, Terminal.error.width - 1)))
    try? Terminal.error.write("\r\u{1B}[K" + Terminal.error.styled(line, .dim))
  }

  /// Leaves the line empty.
  static func clear() {
    if Terminal.error.isInteractive { try? Terminal.error.write("\r\u{1B}[K") }
  }

  /// Runs work that says what it is doing, and ends between two pieces of it where a signal came.
  static func showing<Result>(_ work: (@escaping (String) throws -> Void) throws -> Result) throws -> Result {
    defer { clear() }
    return try StopSignal.handling {
      try work {
        try StopSignal.check()
        show($0)
      }
    }
  }
}
