import Datasets
import Foundation
import OrderedCollections
import Text

/// Answers to one prompt out of a file, with what the file says of them.
public struct AnswerRow: Sendable, Hashable {
  /// What is answered.
  public var prompt: Passage
  /// JSON schemas of the tools on offer, as JSON text; nil for none.
  public var tools: String?
  /// The answers, two or more.
  public var answers: [Passage]
  /// What the file says of the first two: `a` is the first.
  public var verdicts: [(rater: Rater, verdict: Verdict)] = []
  /// `file:line`.
  public var source: String

  /// Equal rows have equal texts and verdicts.
  public static func == (one: AnswerRow, other: AnswerRow) -> Bool {
    one.prompt == other.prompt && one.tools == other.tools && one.answers == other.answers && one.source == other.source
      && one.verdicts.map(\.rater) == other.verdicts.map(\.rater)
      && one.verdicts.map(\.verdict) == other.verdicts.map(\.verdict)
  }

  /// Hashes what is compared.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(prompt)
    hasher.combine(answers)
    hasher.combine(source)
  }
}

/// Reads files of answers: preference data in every format that tuning reads, or lines
/// `{"prompt": …, "answers": [two or more], "verdicts": […]}` of JSON.
public enum PairFile {
  /// The rows of a file.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - name: who is said to have chosen in preference data.
  /// - Throws: ``PreferenceError`` that names the bad lines; `DatasetError` or `BadRows` where preference data cannot be read.
  public static func read(_ path: String, chosenBy name: String) throws -> [AnswerRow] {
    if try holdsAnswers(path) { return try answers(path) }
    let rater = Rater(name, kind: .data)
    return try Dataset.load([DataSource(path: path)]).samples.flatMap { try rows($0, rater) }
  }

  /// Whether the first line is one of ours.
  private static func holdsAnswers(_ path: String) throws -> Bool {
    guard let file = FileHandle(forReadingAtPath: path) else {
      throw PreferenceError("\(path): cannot be read: is it there, and may it be read?")
    }
    defer { try? file.close() }
    let head = try file.read(upToCount: 1 << 20) ?? Data()
    let lines = head.split(separator: UInt8(ascii: "\n"))
    guard let first = lines.first(where: { !$0.allSatisfy { [0x20, 0x09, 0x0D].contains($0) } }) else { return false }
    // A first line longer than that is ours where it begins like one.
    guard let value = try? JSON(parsing: first) else {
      return lines.count == 1 && String(decoding: first.prefix(64), as: UTF8.self).contains("\"answers\"")
    }
    return value["answers"] != nil
  }

  private static func answers(_ path: String) throws -> [AnswerRow] {
    let data: Data
    do { data = try Data(contentsOf: URL(filePath: path)) } catch { throw PreferenceError("\(path): cannot be read") }
    var rows: [AnswerRow] = []
    var problems: [String] = []
    for (index, line) in data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      if line.allSatisfy({ [0x20, 0x09, 0x0D].contains($0) }) { continue }
      let place = "\(path):\(index + 1)"
      do { rows.append(try AnswerRow(try JSON(parsing: line), source: place)) } catch { problems.append("\(place): \(error)") }
    }
    guard problems.isEmpty else {
      let rest = problems.count > 10 ? ["… and \(problems.count - 10) more"] : []
      throw PreferenceError((problems.prefix(10) + rest).joined(separator: "\n"))
    }
    return rows
  }

  /// Each two answers of a ranking, the better one first.
  private static func rows(_ sample: Sample, _ rater: Rater) throws -> [AnswerRow] {
    guard case .ranking(let ranked) = sample.content else {
      throw PreferenceError(
        "\(sample.location): holds no two answers; give {\"prompt\": …, \"answers\": [two or more]}, or preference data with "
          + "“chosen” and “rejected”")
    }
    let answers = try ranked.map { try parts($0, sample.location) }
    var rows: [AnswerRow] = []
    for (place, better) in answers.enumerated() {
      for worse in answers.dropFirst(place + 1) {
        rows.append(
          AnswerRow(
            prompt: better.0, tools: sample.tools.map { JSON.array($0).text() }, answers: [better.1, worse.1],
            verdicts: [(rater, Verdict(.a, shown: .ab))], source: sample.location.description))
      }
    }
    return rows
  }

  private static func parts(_ content: Sample.Content, _ place: SourceLocation) throws -> (Passage, Passage) {
    switch content {
    case .continuation(let prompt, let completion): (.messages(prompt), .messages(completion))
    case .completion(let prompt, let completion): (.text(prompt), .text(completion))
    case .conversation, .text, .ranking, .prompt: throw PreferenceError("\(place): the answers have no prompt of their own")
    }
  }
}

extension AnswerRow {
  /// Reads `{"prompt": …, "answers": […], "tools": […], "verdicts": [{"rater": …, "choice": "a", "shown": "ab", …}]}`.
  init(_ json: JSON, source: String) throws(PreferenceError) {
    guard let prompt = json["prompt"] else { throw PreferenceError("“prompt” is missing") }
    guard let list = json["answers"]?.array, list.count > 1 else {
      throw PreferenceError("“answers” must be a list of two answers or more")
    }
    self.prompt = try Self.passage(prompt, "prompt")
    var answers: [Passage] = []
    for (place, answer) in list.enumerated() {
      let passage = try Self.passage(answer, "answers[\(place)]")
      // A text that answers a conversation is the assistant's turn in it.
      if case .text(let text) = passage, case .messages = self.prompt {
        answers.append(.messages([Message(role: "assistant", content: text)]))
      } else {
        answers.append(passage)
      }
    }
    if case .text = self.prompt, answers.contains(where: { if case .messages = $0 { true } else { false } }) {
      throw PreferenceError("“answers” holds messages, and “prompt” is text: write both in the same way")
    }
    (self.answers, self.source) = (answers, source)
    tools = json["tools"].flatMap { $0.isNull ? nil : $0.text() }
    for (place, verdict) in (json["verdicts"]?.array ?? []).enumerated() {
      do throws(PreferenceError) { verdicts.append(try Self.verdict(verdict)) } catch {
        throw PreferenceError("“verdicts[\(place)]” \(error)")
      }
    }
  }

  private static func passage(_ json: JSON, _ field: String) throws(PreferenceError) -> Passage {
    do throws(PreferenceError) { return try Passage(json) } catch { throw PreferenceError("“\(field)” \(error)") }
  }
}
