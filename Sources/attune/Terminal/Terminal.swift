import Foundation

/// Standard output or standard error: where text goes, and what it can show.
struct Terminal: Sendable {
  /// Data.
  static let output = Terminal(descriptor: STDOUT_FILENO)
  /// Progress, logs and failures.
  static let error = Terminal(descriptor: STDERR_FILENO)

  private let descriptor: Int32
  /// True where a person reads it as it comes.
  let isInteractive: Bool
  /// True where colours show: an interactive terminal that is not dumb, without `NO_COLOR` (no-color.org).
  let hasColours: Bool

  private init(descriptor: Int32) {
    self.descriptor = descriptor
    isInteractive = isatty(descriptor) == 1
    let environment = ProcessInfo.processInfo.environment
    let isRefused = environment["NO_COLOR"].map { !$0.isEmpty } ?? false
    hasColours = isInteractive && !isRefused && environment["TERM"] != "dumb"
  }

  /// Columns.
  var width: Int {
    var size = winsize()
    if ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
    return ProcessInfo.processInfo.environment["COLUMNS"].flatMap { Int($0) } ?? 80
  }

  /// A way to set text off.
  enum Style: Int {
    case bold = 1
    case dim = 2
    case red = 31
    case green = 32
    case yellow = 33
    case cyan = 36
  }

  /// `text` in a style where this terminal shows one.
  func styled(_ text: String, _ styles: Style...) -> String {
    guard hasColours, !text.isEmpty else { return text }
    return "\u{1B}[\(styles.map { String($0.rawValue) }.joined(separator: ";"))m\(text)\u{1B}[0m"
  }

  /// Writes text at once, as it is.
  ///
  /// A reader that went away (`attune … | head`) ends the program without a word.
  /// - Throws: ``CommandError`` where standard output cannot be written, such as on a full disk.
  func write(_ text: String) throws(CommandError) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno == EPIPE {
        ExitStatus.success.exit()
      } else if errno == EAGAIN {
        // Somebody else made the descriptor non-blocking: wait until it takes more.
        var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = poll(&wanted, 1, -1)
      } else if errno != EINTR {
        throw CommandError("cannot write to standard output: \(String(cString: strerror(errno)))")
      }
    }
  }

  /// Lets a write to a pipe that nobody reads fail, where the system would end the program.
  static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }
}

/// Lines for people, on standard error. What cannot be shown is left out.
enum Log {
  /// A line.
  static func line(_ text: String) { try? Terminal.error.write(text + "\n") }

  /// A line of lesser weight.
  static func note(_ text: String) { line(Terminal.error.styled(text, .dim)) }

  /// The failure that ends the program.
  static func error(_ text: String) { line(Terminal.error.styled("error:", .bold, .red) + " " + text) }
}
