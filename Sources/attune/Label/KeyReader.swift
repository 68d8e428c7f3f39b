import Foundation

/// Keys, one at a time: as they are pressed on a terminal, or characters of a pipe or file.
final class KeyReader {
  private let isInteractive = isatty(STDIN_FILENO) == 1
  private var saved = termios()

  /// Takes over the terminal, until ``restore()``.
  init() {
    if isInteractive { tcgetattr(STDIN_FILENO, &saved) }
    takeOver()
  }

  deinit { restore() }

  /// Gives the terminal back as it was.
  func restore() {
    if isInteractive { tcsetattr(STDIN_FILENO, TCSADRAIN, &saved) }
  }

  private func takeOver() {
    guard isInteractive else { return }
    var raw = saved
    // Keys come at once and are not shown; Ctrl-C comes as a key, so that the terminal is always given back.
    raw.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw)
  }

  /// The next key, white space left out; nil at the end of the input, at Ctrl-C and Ctrl-D, and where a signal asks to stop.
  func next() -> Character? {
    while let byte = byte() {
      switch byte {
      case 3, 4: if isInteractive { return nil }
      case 9, 10, 13, 32: continue
      case 27: if let arrow = arrow() { return arrow }
      default: return byte < 128 ? Character(Unicode.Scalar(byte)) : "?"
      }
    }
    return nil
  }

  /// What follows ESC: “a” for the left arrow, “b” for the right one.
  private func arrow() -> Character? {
    guard isInteractive, byte() == UInt8(ascii: "[") else { return nil }
    switch byte() {
    case UInt8(ascii: "D"): return "a"
    case UInt8(ascii: "C"): return "b"
    default: return nil
    }
  }

  /// A line of text, edited as the terminal lets one edit lines.
  func line() -> String? {
    restore()
    defer { takeOver() }
    var bytes: [UInt8] = []
    while let byte = byte(), byte != 10 { bytes.append(byte) }
    let text = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    return text.isEmpty ? nil : text
  }

  private func byte() -> UInt8? {
    while !StopSignal.isSet {
      var wanted = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
      let ready = poll(&wanted, 1, 200)
      if ready == 0 || (ready < 0 && errno == EINTR) { continue }
      var byte: UInt8 = 0
      let count = read(STDIN_FILENO, &byte, 1)
      if count < 0, errno == EINTR || errno == EAGAIN { continue }
      return count == 1 ? byte : nil
    }
    return nil
  }
}
