import ArgumentParser
import Recipes
import Text

/// `attune tokenize`: text to token ids and back.
struct Tokenize: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Turn text into token ids, or ids into text.",
    discussion: """
      The ids are those of the model's own tokenizer, with the special tokens it puts around a text unless --no-special is \
      given. The weights are not read: a .gguf file that holds a vocabulary only will do.

      Example:
        attune tokenize --model smollm2 --text "Hello there" --json
      """)

  @OptionGroup var model: ModelName

  @Option(parsing: .unconditional, help: "The text; with --decode the ids.")
  var text: String?

  @Option(help: ArgumentHelp("A file with the text or the ids, read whole; “-” for standard input.", valueName: "file"))
  var input: String?

  @Flag(name: .customLong("no-special"), help: "Add no special tokens; with --decode, leave them out.")
  var noSpecial = false

  @Flag(help: "Turn ids into text: numbers between spaces or commas, a JSON list, or {\"tokens\": […]}.")
  var decode = false

  @Flag(help: "Print the pieces of text in place of the ids.")
  var pieces = false

  @Flag(help: "Print JSON: {\"tokens\": […]}, or {\"text\": …} with --decode.")
  var json = false

  func validate() throws {
    guard (text == nil) != (input == nil) else { throw ValidationError("give either --text or --input") }
    if pieces, json || decode { throw ValidationError("--pieces goes with neither --json nor --decode") }
  }

  func run() throws {
    let tokenizer = try TextSide(ModelStore.standard.resolve(model.name)).tokenizer
    let source = try text ?? TextInput.read(input ?? "-")
    if decode {
      let decoded = tokenizer.decode(try ids(in: source), skipSpecialTokens: noSpecial)
      try Terminal.output.write((json ? (["text": .string(decoded)] as JSON).text() : decoded) + "\n")
      return
    }
    let ids = tokenizer.encode(source, addSpecialTokens: !noSpecial)
    if json {
      try Terminal.output.write((["tokens": .array(ids.map { .int(Int($0)) })] as JSON).text() + "\n")
    } else if pieces {
      try Terminal.output.write(ids.map { piece($0, tokenizer) }.joined(separator: "|") + "\n")
    } else {
      try Terminal.output.write(ids.map(String.init).joined(separator: " ") + "\n")
    }
  }

  /// A token as a person reads it: bytes that are no character as `\xNN`, line ends as ↵.
  private func piece(_ id: Int32, _ tokenizer: BPETokenizer) -> String {
    if tokenizer.isSpecial(id) { return tokenizer.token(of: id) ?? "" }
    let bytes = tokenizer.bytes(of: id)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      return bytes.map { $0 < 0x80 ? String(UnicodeScalar($0)) : "\\x" + String($0, radix: 16, uppercase: true) }.joined()
    }
    return text.replacing("\n", with: "↵")
  }

  private func ids(in source: String) throws -> [Int32] {
    let isJSON = ["{", "["].contains { source.drop(while: \.isWhitespace).hasPrefix($0) }
    let place = input ?? "--text"
    guard isJSON else {
      return try source.split { $0.isWhitespace || $0 == "," }.map { word in
        guard let id = Int32(word) else {
          throw CommandError("\(place): “\(word.prefix(40))” is no token id; write whole numbers")
        }
        return id
      }
    }
    let value: JSON
    do throws(JSONError) { value = try JSON(parsing: source) } catch { throw CommandError("\(place): \(error)") }
    guard let list = value.array ?? value["tokens"]?.array else {
      throw CommandError("\(place): is neither a list of token ids nor an object with “tokens”")
    }
    return try list.map { element in
      guard let id = element.int.flatMap({ Int32(exactly: $0) }) else {
        throw CommandError("\(place): \(element.text()) is no token id; write whole numbers")
      }
      return id
    }
  }
}
