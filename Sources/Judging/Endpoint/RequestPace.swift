import Foundation
import Synchronization

/// Says when the next request may begin, so that no more begin in a minute than are allowed.
final class RequestPace: Sendable {
  private let interval: Duration
  private let next = Mutex<ContinuousClock.Instant?>(nil)

  /// - Parameter perMinute: requests a minute; nil for no limit.
  init(perMinute: Double?) { interval = perMinute.map { .seconds(60 / $0) } ?? .zero }

  /// Takes the next turn, and returns how long to wait for it.
  func turn(now: ContinuousClock.Instant = .now) -> Duration {
    next.withLock { next in
      let start = max(next ?? now, now)
      next = start + interval
      return start - now
    }
  }
}

/// Waits, and looks meanwhile whether it is still wanted.
///
/// - Returns: false where it was not.
func pause(_ duration: Duration, unless isStopped: () -> Bool) -> Bool {
  let end = ContinuousClock.now + duration
  while true {
    if isStopped() { return false }
    let rest = end - .now
    guard rest > .zero else { return true }
    Thread.sleep(forTimeInterval: min(rest / .seconds(1), 0.05))
  }
}
