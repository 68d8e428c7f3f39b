import Datasets
import Preferences
import Text

/// A prompt of a feedback run.
struct FeedbackPrompt {
  let passage: Passage
  /// JSON schemas of the tools on offer.
  let tools: [JSON]?
  /// `file:line`.
  let place: String

  /// What the samples of data ask: what stands before the last answer, or the whole where there is none.
  ///
  /// - Throws: ``RecipeError`` that names a sample that asks nothing.
  static func all(in data: [DataSource]) throws -> [FeedbackPrompt] {
    try Dataset.load(data).samples.map { sample in
      guard let passage = passage(sample.content) else {
        throw RecipeError("\(sample.location): holds no prompt to answer; give conversations, or prompts with completions")
      }
      return FeedbackPrompt(passage: passage, tools: sample.tools, place: sample.location.description)
    }
  }

  private static func passage(_ content: Sample.Content) -> Passage? {
    switch content {
    case .conversation(let messages):
      let end = messages.last?.role == "assistant" ? messages.count - 1 : messages.count
      return end > 0 ? .messages(Array(messages[..<end])) : nil
    case .continuation(let prompt, _): return prompt.isEmpty ? nil : .messages(prompt)
    case .completion(let prompt, _): return prompt.isEmpty ? nil : .text(prompt)
    case .ranking(let answers): return answers.first.flatMap(passage)
    case .prompt(.text(let prompt)): return prompt.isEmpty ? nil : .text(prompt)
    case .prompt(.messages(let messages)): return messages.isEmpty ? nil : .messages(messages)
    case .text: return nil
    }
  }

  /// An answer in the form of the prompt.
  func answer(_ text: String) -> Passage {
    switch passage {
    case .text: .text(text)
    case .messages: .messages([Message(role: "assistant", content: text)])
    }
  }

  /// The prompt as turns.
  var messages: [Message] {
    switch passage {
    case .text(let text): [Message(role: "user", content: text)]
    case .messages(let messages): messages
    }
  }
}
