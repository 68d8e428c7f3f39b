import Datasets
import Foundation
import Generation
import NN
import OrderedCollections
import Text

/// A teacher's answers in place of those in the data, for a student that is fine-tuned on them: distillation of sequences. Kim and Rush,
/// arXiv:1606.07947.
public struct TeacherAnswers {
  /// What came of it.
  public struct Report: Sendable {
    /// Samples written.
    public internal(set) var written = 0
    /// Answers that did not come to their end, and empty ones; both are left out.
    public internal(set) var unfinished = 0, empty = 0
    /// New tokens of all answers.
    public internal(set) var tokens = 0
  }

  /// The teacher.
  public let teacher: LoadedModel
  /// How it answers.
  public let settings: SamplingSettings
  /// Answers that are written at once.
  public var batchSize = 8

  /// A teacher that answers in a way.
  public init(_ teacher: LoadedModel, settings: SamplingSettings) { (self.teacher, self.settings) = (teacher, settings) }

  /// Answers samples in their order. A conversation is answered where its last assistant's turn stands, which is replaced; what follows it
  /// is left out.
  ///
  /// - Parameters:
  ///   - samples: conversations, or prompts with completions.
  ///   - shouldStop: asked between tokens.
  ///   - progress: told how many are done.
  ///   - write: gets a line of JSON for each answer, as `messages` or `prompt-completion` have it.
  /// - Throws: ``RecipeError`` that names a sample which asks nothing; what generating throws.
  public func answer(
    _ samples: [Sample], shouldStop: () -> Bool = { false }, progress: (Int) -> Void = { _ in },
    write: (String) throws -> Void
  ) throws -> Report {
    let questions = try samples.map { try Question($0) }
    let prompts = try questions.map { question in
      do { return try question.tokens(teacher.text) } catch { throw RecipeError("\(question.location): \(error)") }
    }
    for (question, prompt) in zip(questions, prompts) where prompt.count >= teacher.model.tokenLimit {
      throw RecipeError(
        "\(question.location): the prompt has \(prompt.count) tokens, and the teacher's context of \(teacher.model.tokenLimit) leaves "
          + "no room for an answer")
    }
    var generator = Generator(teacher.model, tokenizer: teacher.text.tokenizer)
    generator.batchSize = batchSize
    var report = Report()
    for start in stride(from: 0, to: prompts.count, by: batchSize) {
      let part = start..<min(start + batchSize, prompts.count)
      let output = try generator.generate(
        Array(prompts[part]), settings: settings, streams: part.map(UInt64.init), shouldStop: shouldStop)
      if shouldStop() { return report }
      for (question, sequence) in zip(questions[part], output.sequences) {
        report.tokens += sequence.ids.count
        let isWhole = sequence.finishReason == .stopToken || sequence.finishReason == .stopString
        guard isWhole else {
          report.unfinished += 1
          continue
        }
        guard sequence.text.contains(where: { !$0.isWhitespace }) else {
          report.empty += 1
          continue
        }
        try write(question.line(answer: sequence.text) + "\n")
        report.written += 1
      }
      progress(part.upperBound)
    }
    return report
  }
}

/// What a sample asks.
private struct Question {
  private enum Content {
    case messages([Message])
    case prompt(String)
  }

  let location: SourceLocation
  private let content: Content
  private let tools: [JSON]?

  init(_ sample: Sample) throws(RecipeError) {
    (location, tools) = (sample.location, sample.tools)
    switch sample.content {
    case .completion(let prompt, _): content = .prompt(prompt)
    case .conversation(let messages): content = .messages(try Self.before(messages, at: location))
    case .continuation(let prompt, let completion):
      content = .messages(try Self.before(prompt + completion, at: location))
    case .prompt(.text(let prompt)): content = .prompt(prompt)
    case .prompt(.messages(let messages)): content = .messages(try Self.before(messages, at: location))
    case .text, .ranking:
      throw RecipeError("\(sample.location): asks nothing that a teacher could answer; give conversations, or prompts")
    }
  }

  /// The turns before the last assistant's; all of them where there is none.
  private static func before(_ messages: [Message], at location: SourceLocation) throws(RecipeError) -> [Message] {
    let asked = messages.prefix(messages.lastIndex { $0.role == "assistant" } ?? messages.count)
    guard !asked.isEmpty else { throw RecipeError("\(location): begins with the assistant's only turn, so nothing is asked") }
    return Array(asked)
  }

  func tokens(_ text: TextSide) throws -> [Int32] {
    switch content {
    case .messages(let messages): return try text.encode(messages, tools: tools)
    case .prompt(let prompt): return text.tokenizer.encode(prompt, addSpecialTokens: true)
    }
  }

  func line(answer: String) -> String {
    var line: JSON
    switch content {
    case .messages(let messages):
      line = ["messages": .array((messages + [Message(role: "assistant", content: answer)]).map(\.json))]
    case .prompt(let prompt): line = ["prompt": .string(prompt), "completion": .string(answer)]
    }
    if let tools, var members = line.object {
      members["tools"] = .array(tools)
      line = .object(members)
    }
    return line.text(.python)
  }
}
