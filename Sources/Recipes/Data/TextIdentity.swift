import Checkpoints
import Datasets
import Foundation
import OrderedCollections
import Text

extension CacheKey.Builder {
  /// Adds a tokenizer and its chat templates by all that their files say of them.
  ///
  /// - Parameter day: what ``TemplateDate/day(of:)`` gives; counts where a template asks for it.
  /// - Returns: false where a template shows the time of day, so that no two renderings need be alike.
  /// - Throws: what reading the vocabulary throws.
  mutating func add(_ files: TokenizerFiles, day: String) throws -> Bool {
    switch files.vocabulary {
    case .tokenizerJSON(let bytes): add("tokenizer.json", contents: bytes)
    case .gguf(let metadata): try add(metadata.vocabulary())
    }
    add("tokenizer_config.json", files.config?.text() ?? "")
    add("templates", files.chatTemplates.count)
    for (name, source) in files.chatTemplates {
      add("name", name)
      add("source", source)
    }
    let dated = files.chatTemplates.values.filter { $0.contains(TemplateDate.function) }
    guard !dated.isEmpty else { return true }
    add("date", day)
    return dated.allSatisfy { !TemplateDate.showsTime($0) }
  }

  private mutating func add(_ vocabulary: GGUFVocabulary) throws {
    var rest = vocabulary
    (rest.tokens, rest.merges, rest.scores, rest.types) = ([], [], [], [])
    add("tokens", vocabulary.tokens)
    add("merges", vocabulary.merges)
    add("scores", vocabulary.scores.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) })
    add("types", vocabulary.types.flatMap { withUnsafeBytes(of: $0.littleEndian, Array.init) })
    add("model", rest.model)
    add("pre", rest.pre ?? "")
    for (name, id) in [("bos", rest.bosID), ("eos", rest.eosID), ("pad", rest.padID), ("unk", rest.unkID)] { add(name, id ?? -1) }
    for (name, flag) in [("addBOS", rest.addBOS), ("addEOS", rest.addEOS), ("addSpacePrefix", rest.addSpacePrefix)] {
      add(name, flag.map { $0 ? 1 : 0 } ?? -1)
    }
  }
}

/// What a template shows of the date: many name the day on which they are rendered.
enum TemplateDate {
  /// What a template calls to know the time.
  static let function = "strftime_now"
  /// The directives that stay the same all day, so that a key which holds the day covers them.
  private static let daily: Set<Character> = Set("aAbBdeDFgGhjmuUVwWyYx%-")

  /// The day, in the machine's time zone.
  static func day(of date: Date) -> String {
    let parts = Calendar(identifier: .gregorian).dateComponents([.year, .month, .day], from: date)
    return "\(parts.year ?? 0)-\(parts.month ?? 0)-\(parts.day ?? 0) \(TimeZone.current.identifier)"
  }

  /// True where a template may show more of the time than the day. A percent sign before any other letter counts, wherever it is.
  static func showsTime(_ template: String) -> Bool {
    var rest = template[...]
    while let percent = rest.firstIndex(of: "%") {
      rest = rest[rest.index(after: percent)...]
      if rest.first == "-" { rest = rest.dropFirst() }
      if let directive = rest.first, directive.isLetter, !daily.contains(directive) { return true }
    }
    return false
  }
}
