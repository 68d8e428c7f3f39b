import Datasets
import OrderedCollections
import Text

/// A line of what a reward model scores.
struct RewardLine {
  /// What to put on a line.
  static let hint = "give {\"prompt\": …, \"response\": …}, {\"messages\": […]}, {\"text\": …} or {\"tokens\": […]} on each"

  private enum Content {
    case sample(Sample)
    case text(String)
    case tokens([Int32])
  }

  /// `file:line`.
  let place: String
  private let content: Content

  var needsTokenizer: Bool { if case .tokens = content { false } else { true } }
  var hasTools: Bool { if case .sample(let sample) = content { sample.tools != nil } else { false } }

  /// - Throws: ``CommandError`` that says what is wrong with the line.
  init(_ value: JSON, at place: String) throws {
    self.place = place
    let kinds = ["prompt", "messages", "text", "tokens"].filter { value[$0] != nil }
    guard kinds.count == 1 else {
      throw CommandError(
        kinds.isEmpty
          ? "has none of “prompt”, “messages”, “text” and “tokens”"
          : "has \(kinds.map { "“\($0)”" }.joined(separator: " and ")); give one of them")
    }
    switch kinds[0] {
    case "text":
      guard let text = value["text"]?.string else { throw CommandError("“text” is not text") }
      content = .text(text)
    case "tokens": content = .tokens(try Self.tokens(value["tokens"]))
    default: content = .sample(try Self.sample(value, kind: kinds[0], at: place))
    }
  }

  private static func tokens(_ value: JSON?) throws -> [Int32] {
    guard let list = value?.array else { throw CommandError("“tokens” is not a list") }
    return try list.map { element in
      guard let id = element.int.flatMap({ Int32(exactly: $0) }) else {
        throw CommandError("“tokens” holds \(element.text()), which is no token id")
      }
      return id
    }
  }

  /// What training would read out of such a row.
  private static func sample(_ value: JSON, kind: String, at place: String) throws(CommandError) -> Sample {
    guard var members = value.object else { throw CommandError("is not an object") }
    if let response = members.removeValue(forKey: "response") {
      guard members["completion"] == nil else { throw CommandError("has “response” and “completion”; give one of them") }
      members["completion"] = response
    }
    if kind == "prompt", members["completion"] == nil { throw CommandError("has a “prompt” and no “response”") }
    if members["prompt"]?.array != nil, let text = members["completion"]?.string {
      members["completion"] = [["role": "assistant", "content": .string(text)]]
    }
    let format = kind == "messages" ? DatasetFormat.messages : .promptCompletion
    do {
      return try format.read(Row(location: SourceLocation(file: place, line: 0), fields: members))
    } catch {
      throw CommandError("\(error.field.map { "“\($0)” " } ?? "")\(error.problem). \(error.cure)")
    }
  }

  /// Its tokens.
  ///
  /// - Throws: ``CommandError`` where they cannot be made.
  func tokens(_ encoder: SampleEncoder?) throws(CommandError) -> [Int32] {
    switch content {
    case .tokens(let tokens): return tokens
    case .text(let text): return encoder?.tokenizer.encode(text, addSpecialTokens: false) ?? []
    case .sample(let sample):
      do { return try encoder?.ids(of: sample) ?? [] } catch { throw CommandError("\(error.problem). \(error.cure)") }
    }
  }
}
