import Text

/// Something about samples that is allowed but often a mistake.
public struct Worry: Sendable, Hashable, Codable {
  /// What it is.
  public enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
    /// The answer is empty or white space.
    case emptyAnswer = "empty-answer"
    /// More than ten times as long as the median.
    case veryLong = "very-long"
    /// Less than a tenth as long as the median.
    case veryShort = "very-short"
    /// No token is a target.
    case untrained
    /// The turns of a conversation do not alternate, or it does not end with the assistant.
    case turnOrder = "turn-order"
    /// Replacement characters, control characters, or UTF-8 that was read as Latin-1.
    case damagedText = "damaged-text"
    /// The template or the tokenizer cannot deal with it.
    case unencodable

    /// What it is, in words.
    public var meaning: String {
      switch self {
      case .emptyAnswer: "the answer is empty"
      case .veryLong: "more than ten times as long as the median"
      case .veryShort: "less than a tenth as long as the median"
      case .untrained: "no token would be learnt"
      case .turnOrder: "turns do not alternate, or the assistant does not speak last"
      case .damagedText: "text was damaged by a wrong encoding, or has control characters"
      case .unencodable: "the template or the tokenizer refuses it"
      }
    }
  }

  /// What it is.
  public var kind: Kind
  /// How many samples.
  public var count: Int
  /// The first of them.
  public var shown: [SourceLocation]
}

extension Sample {
  /// What can be said against the sample without a tokenizer.
  var worries: [Worry.Kind] {
    var worries: [Worry.Kind] = []
    if answer.allSatisfy(\.isWhitespace) { worries.append(.emptyAnswer) }
    if let messages, !messages.alternate { worries.append(.turnOrder) }
    if transcript.isDamaged { worries.append(.damagedText) }
    return worries
  }
}

extension [Message] {
  /// True where the turns are: maybe a system's, then user and assistant by turns, tools after the calls, the assistant last.
  fileprivate var alternate: Bool {
    var before = "start"
    for message in self {
      let allowed: Set<String>
      switch message.role {
      case "system", "developer": allowed = ["start"]
      case "user": allowed = ["start", "system", "developer", "assistant"]
      case "assistant": allowed = ["user", "tool"]
      case "tool": allowed = ["assistant", "tool"]
      default: return false
      }
      guard allowed.contains(before) else { return false }
      before = message.role
    }
    return before == "assistant"
  }
}

extension String {
  /// True for U+FFFD, control characters but tab and line ends, and two-character traces of UTF-8 read as Latin-1 or Windows-1252.
  fileprivate var isDamaged: Bool {
    var before: UInt32 = 0
    for scalar in unicodeScalars {
      let value = scalar.value
      let isControl = value < 0x20 && ![0x09, 0x0A, 0x0C, 0x0D].contains(value) || (0x7F...0x9F).contains(value)
      // Ã or Â before U+0080–U+00BF; â before €.
      let isTrace = (before == 0xC3 || before == 0xC2) && (0x80...0xBF).contains(value) || before == 0xE2 && value == 0x20AC
      if value == 0xFFFD || isControl || isTrace { return true }
      before = value
    }
    return false
  }
}
