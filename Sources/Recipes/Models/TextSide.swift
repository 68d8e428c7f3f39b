import Checkpoints
import Foundation
import OrderedCollections
import Text

/// A model's tokenizer and chat template, which need no weights.
public struct TextSide: Sendable {
  /// The folder or file they come from.
  public let path: String
  /// The tokenizer.
  public let tokenizer: BPETokenizer
  /// The templates the files hold.
  public let templates: ChatTemplateSet

  /// Reads the tokenizer and templates of a Hugging Face folder or a .gguf file.
  ///
  /// - Throws: `CheckpointError`, `TokenizerError` or `TemplateError` that names the file and the key.
  public init(_ url: URL) throws { try self.init(try TokenizerFiles(url)) }

  /// The tokenizer and templates of files that were read.
  ///
  /// - Throws: `TokenizerError` or `CheckpointError` that names the key.
  public init(_ files: TokenizerFiles) throws {
    path = files.path
    templates = ChatTemplateSet(files.chatTemplates)
    switch files.vocabulary {
    case .tokenizerJSON(let bytes):
      let config = files.config.map { Array($0.text().utf8) }
      do throws(TokenizerError) { tokenizer = try BPETokenizer(tokenizerJSON: bytes, configJSON: config) } catch {
        throw error.located(at: path + "/")
      }
    case .gguf(let metadata):
      let vocabulary = try metadata.vocabulary()
      do throws(TokenizerError) { tokenizer = try BPETokenizer(vocabulary) } catch { throw error.located(at: path + ": ") }
    }
  }

  /// The chat template to use; nil where the model has none.
  public func template(hasTools: Bool = false) throws -> ChatTemplate? {
    guard !templates.sources.isEmpty else { return nil }
    let (name, source) = try templates.choose(hasTools: hasTools)
    return try ChatTemplate(source: source, name: "\(path): chat template “\(name)”", specialTokens: tokenizer.special)
  }

  /// The tokens of a conversation through the model's template, which puts the special tokens itself.
  ///
  /// - Parameters:
  ///   - messages: the turns.
  ///   - tools: JSON schemas of the tools on offer; nil for none.
  ///   - addGenerationPrompt: end with the opening of an assistant's turn.
  /// - Throws: ``RecipeError`` where the model has no template; `TemplateError` where the template refuses.
  public func encode(_ messages: [Message], tools: [JSON]? = nil, addGenerationPrompt: Bool = true) throws -> [Int32] {
    guard let template = try template(hasTools: tools != nil) else {
      throw RecipeError("\(path) has no chat template; use an instruct model, or give the prompt as it is with --raw")
    }
    let text = try template.render(messages, tools: tools, addGenerationPrompt: addGenerationPrompt)
    return tokenizer.encode(text, addSpecialTokens: false)
  }
}
