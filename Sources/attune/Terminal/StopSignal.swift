import Foundation
import Synchronization

/// SIGINT (Ctrl-C) and SIGTERM.
///
/// They end the program at once with status 130, except while ``handling(_:)`` runs, or after ``beginHandling()``: then the first one sets ``isSet``, so that
/// the work can end in good order, and only a second one ends the program at once.
enum StopSignal {
  private static let received = Atomic<Int>(0)
  private static let isHandled = Atomic<Bool>(false)
  private static let isTermination = Atomic<Bool>(false)

  /// True where a signal came that the work has yet to obey.
  static var isSet: Bool { received.load(ordering: .relaxed) > 0 }

  /// True where SIGTERM came, which asks for more than the end of the work in progress.
  static var endsProgram: Bool { isTermination.load(ordering: .relaxed) }

  /// Takes the signals over. Called once, before any other thread starts.
  static func install() {
    // A handler must not be the first to touch a lazy global.
    _ = (isSet, endsProgram, isHandled.load(ordering: .relaxed))
    var wanted = sigset_t()
    sigemptyset(&wanted)
    for number in [SIGINT, SIGTERM] {
      sigaddset(&wanted, number)
      signal(number) { number in
        if number == SIGTERM { StopSignal.isTermination.store(true, ordering: .relaxed) }
        let before = StopSignal.received.add(1, ordering: .relaxed).oldValue
        if before > 0 || !StopSignal.isHandled.load(ordering: .relaxed) { _exit(ExitStatus.interrupted.rawValue) }
      }
    }
    // A parent's thread that blocks them hands that down.
    pthread_sigmask(SIG_UNBLOCK, &wanted, nil)
  }

  /// Runs work that looks at ``isSet`` and ends by itself.
  static func handling<Result>(_ work: () throws -> Result) rethrows -> Result {
    beginHandling()
    defer { endHandling() }
    return try work()
  }

  /// From here on the work looks at ``isSet``, until ``endHandling()``.
  static func beginHandling() { isHandled.store(true, ordering: .relaxed) }

  /// From here on a signal ends the program at once.
  static func endHandling() { isHandled.store(false, ordering: .relaxed) }

  /// Forgets a signal that the work has obeyed and that is not to end the program.
  static func clear() { received.store(0, ordering: .relaxed) }

  /// Ends the work in progress where a signal came.
  ///
  /// - Throws: ``Interrupted``.
  static func check() throws(Interrupted) {
    if isSet { throw Interrupted() }
  }
}
