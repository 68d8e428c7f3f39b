import ArgumentParser
import Datasets
import Recipes
import Text

/// How samples become tokens.
struct EncodingArguments: ParsableArguments {
  @Option(help: "Which tokens are learnt (default: the assistant's turns, the completion, all of a text).")
  var mask: MaskPolicy?

  @Option(help: ArgumentHelp("Tokens a sample may have.", valueName: "n"))
  var maxLength: Int?

  @Option(help: "What happens to longer samples (default: text is split, of others the start is kept).")
  var truncation: Truncation?

  func validate() throws {
    if let maxLength, maxLength < 2 { throw ValidationError("--max-length must be a number from 2, not \(maxLength)") }
  }

  /// An encoder for a model's tokenizer and template.
  func encoder(_ text: TextSide) throws -> SampleEncoder {
    let settings = EncodingSettings(mask: mask, maxLength: maxLength, truncation: truncation)
    return try SampleEncoder(tokenizer: text.tokenizer, renderer: text.template(), settings: settings) {
      try assistantSpans(of: $0, tools: $1, using: $2)
    }
  }
}

extension MaskPolicy: ExpressibleByArgument {}
extension Truncation: ExpressibleByArgument {}
