import Foundation

/// Numbers of questions that threads take, and the answers that they put back. What is shared stands behind one lock.
final class QuestionBoard<Answer: Sendable>: @unchecked Sendable {
  private let condition = NSCondition()
  private let count: Int
  private var taken = 0
  private var answers: [(Int, Result<Answer, JudgeFailure>)] = []
  private var hasStopped = false

  init(count: Int) { self.count = count }

  private func locked<Value>(_ body: () -> Value) -> Value {
    condition.lock()
    defer { condition.unlock() }
    return body()
  }

  /// True where no more answers are wanted.
  var isStopped: Bool { locked { hasStopped } }

  /// From here on nothing is taken.
  func stop() { locked { hasStopped = true } }

  /// The next question; nil where there are no more.
  func take() -> Int? {
    locked {
      guard !hasStopped, taken < count else { return nil }
      taken += 1
      return taken - 1
    }
  }

  /// Puts an answer back.
  func put(_ place: Int, _ result: Result<Answer, JudgeFailure>) {
    locked {
      answers.append((place, result))
      condition.signal()
    }
  }

  /// An answer, where one comes within so many seconds.
  func next(within seconds: Double) -> (Int, Result<Answer, JudgeFailure>)? {
    locked {
      if answers.isEmpty { _ = condition.wait(until: Date(timeIntervalSinceNow: seconds)) }
      return answers.isEmpty ? nil : answers.removeFirst()
    }
  }
}
