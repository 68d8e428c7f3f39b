import Checkpoints
import Foundation
import Generation
import NN
import Recipes
import Text

/// A conversation with a model.
struct ChatSession {
  private let loaded: LoadedModel
  private let generator: Generator
  private var settings: SamplingSettings
  private var system: String?
  /// The turns after the system's.
  private var turns: [Message] = []

  /// - Throws: ``CommandError`` where the model has no chat template.
  init(_ loaded: LoadedModel, system: String?, sampling: SamplingArguments) throws {
    guard try loaded.text.template() != nil else {
      throw CommandError("\(loaded.path) has no chat template; use an instruct model, or `attune generate --raw`")
    }
    self.loaded = loaded
    self.system = system
    generator = Generator(loaded.model, tokenizer: loaded.text.tokenizer)
    settings = sampling.settings(for: loaded.generationConfig, endTokens: loaded.stopTokens)
  }

  /// All turns, the system's first.
  private var messages: [Message] { (system.map { [Message(role: "system", content: $0)] } ?? []) + turns }

  /// Takes a line: a turn of the user's, or an instruction.
  ///
  /// - Returns: false where the conversation is over.
  /// - Throws: ``CommandError`` for an instruction that cannot be followed; what the template and the model throw.
  mutating func take(_ line: String) throws -> Bool {
    switch try ChatLine(line) {
    case .nothing: break
    case .turn(let text): try answer(text)
    case .help: Log.line(ChatLine.instructions)
    case .reset: turns = []
    case .system(let text): system = text.isEmpty ? nil : text
    case .undo: try undo()
    case .save(let path): try save(to: path)
    case .exit: return false
    }
    return true
  }

  /// Answers a turn. An answer that was stopped stays in the conversation as far as it came.
  private mutating func answer(_ text: String) throws {
    let asked = turns + [Message(role: "user", content: text)]
    let before = messages.count - turns.count
    let tokens = try loaded.text.encode(messages.prefix(before) + asked)
    let limit = loaded.model.tokenLimit
    guard tokens.count < limit else {
      throw CommandError(
        "the conversation has \(tokens.count) tokens, and the model's context of \(limit) leaves no room for an answer; "
          + "/undo or /reset shortens it")
    }
    let output = try StreamedAnswer.generate(generator, tokens, settings, isShown: true)
    try Terminal.output.write("\n")
    turns = asked + [Message(role: "assistant", content: output.sequences[0].text)]
    // Another answer draws other numbers, in an order that the seed still decides.
    settings.seed = settings.seed.map { $0 &+ 1 }
  }

  /// Takes back the last turn and its answer.
  private mutating func undo() throws(CommandError) {
    guard let last = turns.lastIndex(where: { $0.role == "user" }) else { throw CommandError("there is nothing to undo") }
    turns.removeSubrange(last...)
  }

  /// Writes the conversation as `data render` and training read it.
  private func save(to path: String) throws {
    try AtomicFile.write(JSON.array(messages.map(\.json)).text(.pretty) + "\n", to: URL(filePath: path))
    Log.note("saved \(messages.count) messages in \(path)")
  }
}
