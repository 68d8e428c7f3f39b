import Preferences
import Text

/// Finds the verdict in what a judge wrote.
enum VerdictReader {
  /// What a reply says: an object with a “verdict”; else the letter after the last “verdict” or in double brackets; else a reply
  /// that is nothing but a letter.
  ///
  /// - Returns: nil where it says nothing of the kind.
  static func read(_ reply: String) -> Judgement? {
    let spoken = reply.split(separator: "</think>", omittingEmptySubsequences: false).last.map(String.init) ?? reply
    if let object = object(in: spoken), let word = object["verdict"]?.string {
      return choice(word).map { Judgement($0, reason: object["reason"]?.string) }
    }
    let marked = spoken.matches(of: /(?i)(?:verdict\W{1,8}|\[\[\s*)(A|B|tie|C)\b/).last?.output.1
    if let marked { return choice(String(marked)).map { Judgement($0, reason: reason(spoken)) } }
    return choice(spoken).map { Judgement($0) }
  }

  /// The longest text from a brace on that is an object.
  private static func object(in text: String) -> JSON? {
    guard let end = text.lastIndex(of: "}") else { return nil }
    for start in text.indices.filter({ text[$0] == "{" }).prefix(16) where start < end {
      if let value = try? JSON(parsing: String(text[start...end])), value.object != nil { return value }
    }
    return nil
  }

  /// A word as a choice: A, B, tie or C, with what may stand around them.
  private static func choice(_ word: String) -> Choice? {
    let letters = word.lowercased().split { !$0.isLetter && !$0.isNumber }.filter {
      !["answer", "the", "better", "is"].contains($0)
    }
    guard letters.count == 1 else { return nil }
    return ["a": .a, "b": .b, "tie": .tie, "c": .tie, "equal": .tie][String(letters[0])]
  }

  private static func reason(_ text: String) -> String? {
    let trimmed = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
    return trimmed.isEmpty ? nil : String(trimmed.prefix(500))
  }
}
