import Datasets
import Text

/// The ChatML template, as a double of a model's own.
struct ChatML: ChatRenderer {
  /// What stands before the first turn.
  var opening = ""
  /// What ends a turn.
  var closing = "<|im_end|>"

  struct Refusal: Error, CustomStringConvertible {
    let description: String
  }

  func render(_ messages: [Message], tools: [JSON]?, addGenerationPrompt: Bool) throws -> String {
    let turns = try messages.map { message in
      guard message.role != "narrator" else { throw Refusal(description: "no role “narrator”") }
      return "<|im_start|>\(message.role)\n\(body(message))\(closing)\n"
    }
    return opening + turns.joined() + (addGenerationPrompt ? "<|im_start|>assistant\n" : "")
  }

  private func body(_ message: Message) -> String { (message.content ?? "") + message.toolCalls.map { $0.text() }.joined() }
}

/// An encoder over the doubles.
func encoder(
  _ settings: EncodingSettings = EncodingSettings(), tokenizer: any Tokenizer = ByteTokenizer(),
  renderer: (any ChatRenderer)? = ChatML()
) throws -> SampleEncoder {
  try SampleEncoder(tokenizer: tokenizer, renderer: renderer, settings: settings)
}
