import Foundation

/// A regular expression that never keeps a run waiting: a search that takes too long is given up.
public struct TextPattern: Sendable, Hashable {
  /// The expression, in ICU's syntax.
  public let text: String
  private let expression: NSRegularExpression
  /// The same for a whole text: of alternatives the one that reaches its end counts, not the first.
  private let whole: NSRegularExpression
  /// The most a search may take.
  private static let timeLimit: Duration = .seconds(1)

  /// - Parameters:
  ///   - text: the expression.
  ///   - key: the setting that gave it, for the error.
  /// - Throws: ``RewardError`` where it is none.
  public init(_ text: String, key: String) throws(RewardError) {
    self.text = text
    do {
      expression = try NSRegularExpression(pattern: text)
      whole = try NSRegularExpression(pattern: "\\A(?:\(text))\\z")
    } catch {
      throw RewardError(key, "is no regular expression: “\(text)”")
    }
  }

  /// Whether it is found in `subject`, or is all of it.
  ///
  /// - Throws: ``RewardError`` where the search took too long.
  func matches(_ subject: String, whole: Bool) throws(RewardError) -> Bool {
    var isFound = false
    try search(subject, for: whole ? self.whole : expression) { _ in
      isFound = true
      return false
    }
    return isFound
  }

  /// What the first group finds last, or the whole expression where it has no group.
  ///
  /// - Throws: ``RewardError`` where the search took too long.
  func lastFind(in subject: String) throws(RewardError) -> String? {
    var found: String?
    try search(subject, for: expression) { match in
      let range = match.numberOfRanges > 1 ? match.range(at: 1) : match.range
      found = Range(range, in: subject).map { String(subject[$0]) } ?? found
      return true
    }
    return found
  }

  /// Goes through the matches until `visit` has enough.
  private func search(
    _ subject: String, for expression: NSRegularExpression, _ visit: (NSTextCheckingResult) -> Bool
  ) throws(RewardError) {
    let end = ContinuousClock.now + Self.timeLimit
    var isLate = false
    withoutActuallyEscaping(visit) { visit in
      expression.enumerateMatches(
        in: subject, options: .reportProgress, range: NSRange(location: 0, length: subject.utf16.count)
      ) { match, _, stop in
        if let match {
          if !visit(match) { stop.pointee = true }
        } else if ContinuousClock.now > end {
          isLate = true
          stop.pointee = true
        }
      }
    }
    if isLate {
      throw RewardError(
        "pattern", "“\(text)” searched a text for over \(Self.timeLimit); write it with fewer repetitions inside others")
    }
  }
}
