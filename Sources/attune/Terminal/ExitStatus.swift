import Foundation

/// How the program ends, as scripts see it.
enum ExitStatus: Int32 {
  /// What was asked for is done.
  case success = 0
  /// It could not be done; the reason is on standard error.
  case failed = 1
  /// The command line is wrong.
  case usage = 2
  /// SIGINT or SIGTERM ended it.
  case interrupted = 130

  /// Ends the program.
  func exit() -> Never { Foundation.exit(rawValue) }
}

/// What could not be done, and what to do about it.
struct CommandError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// Work that stopped because the user asked it to.
struct Interrupted: Error {}
