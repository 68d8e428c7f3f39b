import Checkpoints
import Foundation
import NN
import OrderedCollections
import Text
import Torch

/// A vocabulary with tokens that the model's files do not have: the tokenizer with them, and what their rows start from.
public struct GrownVocabulary: Sendable {
  /// The files of the tokenizer with the new tokens.
  let files: TokenizerFiles
  /// The tokenizer with the new tokens, and the templates.
  public let text: TextSide
  /// The new tokens, in order.
  public let tokens: [Int]
  /// For each new token the old ones that its text is made of.
  let pieces: [[Int]]

  /// The vocabulary of `base` with more tokens.
  ///
  /// - Throws: ``RecipeError`` for a token that is empty, is there already or is named twice; what reading the files throws.
  public init(adding added: [NewToken], to base: TokenizerFiles) throws {
    let old = try TextSide(base).tokenizer
    for (place, token) in added.enumerated() {
      guard !token.content.isEmpty else { throw RecipeError("add_tokens: a token must not be empty") }
      if let id = old.id(of: token.content) {
        throw RecipeError(
          "add_tokens: “\(token.content)” is a token already, \(id); train it with trainable_token_indices, or leave it out")
      }
      guard !added[..<place].contains(where: { $0.content == token.content }) else {
        throw RecipeError("add_tokens: “\(token.content)” is named twice")
      }
    }
    let (json, config) = try Self.tokenizerJSON(base)
    let grown = try GrownTokenizer.json(adding: added, to: json, firstID: old.vocabularySize)
    try self.init(
      TokenizerFiles(path: base.path, vocabulary: .tokenizerJSON(grown), config: config, chatTemplates: base.chatTemplates),
      over: old)
  }

  /// The vocabulary of the tokenizer in an adapter's folder, where that has tokens which `base` lacks; nil where it has none, or
  /// where the folder holds no tokenizer.
  ///
  /// - Throws: ``RecipeError`` where the two tokenizers are not one with more tokens; what reading the files throws.
  init?(inAdapter folder: URL, over base: TokenizerFiles) throws {
    let path = folder.appending(path: TokenizerFiles.tokenizerName).path
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    let files = try TokenizerFiles(folder: folder)
    if case .tokenizerJSON(let own) = files.vocabulary, case .tokenizerJSON(let theirs) = base.vocabulary, own == theirs {
      return nil
    }
    let (old, new) = (try TextSide(base).tokenizer, try TextSide(files).tokenizer)
    guard new.vocabularySize > old.vocabularySize else { return nil }
    for id in [0, old.vocabularySize / 2, old.vocabularySize - 1].map({ Int32($0) }) where new.token(of: id) != old.token(of: id)
    {
      throw RecipeError(
        "\(path): token \(id) is “\(new.token(of: id) ?? "")”, and “\(old.token(of: id) ?? "")” in \(base.path): the adapter was "
          + "made for another model")
    }
    try self.init(files, over: old)
  }

  private init(_ files: TokenizerFiles, over old: BPETokenizer) throws {
    (self.files, text) = (files, try TextSide(files))
    let tokenizer = text.tokenizer
    tokens = Array(old.vocabularySize..<tokenizer.vocabularySize)
    pieces = tokens.map { token in
      let ids = old.encode(tokenizer.token(of: Int32(token)) ?? "", addSpecialTokens: false).map(Int.init)
      // A text that gives no tokens at all, as a lone zero-width character may, starts as the first row.
      return ids.isEmpty ? [0] : ids
    }
  }

  /// Gives the new tokens rows in `model`.
  func grow(_ model: any CausalLM) throws {
    do { try model.setRows(of: tokens, toMeansOf: pieces) } catch {
      throw RecipeError("\(error.message); leave the quantization out")
    }
  }

  /// Writes the tokenizer and its templates into a folder.
  ///
  /// - Returns: the names of the files.
  @discardableResult
  func write(to folder: URL) throws -> [String] {
    guard case .tokenizerJSON(let bytes) = files.vocabulary else { return [] }
    var written = [TokenizerFiles.tokenizerName]
    try AtomicFile.write(bytes, to: folder.appending(path: TokenizerFiles.tokenizerName))
    if let config = files.config {
      written.append("tokenizer_config.json")
      try AtomicFile.write(config.text(.pretty) + "\n", to: folder.appending(path: "tokenizer_config.json"))
    }
    for (name, template) in files.chatTemplates {
      let file = name == "default" ? "chat_template.jinja" : "additional_chat_templates/\(name).jinja"
      let url = folder.appending(path: file)
      try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try AtomicFile.write(template, to: url)
      written.append(file)
    }
    return written
  }

  /// The two files of a tokenizer, out of those of a folder or of what a GGUF file says.
  private static func tokenizerJSON(_ files: TokenizerFiles) throws -> (json: [UInt8], config: JSON?) {
    switch files.vocabulary {
    case .tokenizerJSON(let bytes): return (bytes, files.config)
    case .gguf(let metadata):
      let vocabulary = try metadata.vocabulary()
      return (Array(try vocabulary.tokenizerJSON().utf8), try vocabulary.tokenizerConfigJSON(contextLength: nil))
    }
  }
}
