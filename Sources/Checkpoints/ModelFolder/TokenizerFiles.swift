import Foundation
import OrderedCollections
import Text

/// What a model's files say of its tokenizer and chat templates: enough to tokenize and to render without its weights.
public struct TokenizerFiles: Sendable {
  /// Where the vocabulary comes from.
  public enum Vocabulary: Sendable {
    /// The bytes of a `tokenizer.json`.
    case tokenizerJSON([UInt8])
    /// The vocabulary of a GGUF file.
    case gguf(GGUFMetadata)
  }

  /// The folder or file.
  public let path: String
  /// The vocabulary.
  public let vocabulary: Vocabulary
  /// The object of `tokenizer_config.json`; nil where there is none.
  public let config: JSON?
  /// The chat templates by name; the one without a name is `default`.
  public let chatTemplates: OrderedDictionary<String, String>

  /// The chat template to use where none is asked for by name.
  public var chatTemplate: String? { chatTemplates["default"] ?? (chatTemplates.count == 1 ? chatTemplates.values.first : nil) }

  /// The name of the file with the vocabulary in a folder.
  public static let tokenizerName = "tokenizer.json"

  /// A tokenizer by its parts.
  public init(
    path: String, vocabulary: Vocabulary, config: JSON?, chatTemplates: OrderedDictionary<String, String>
  ) {
    (self.path, self.vocabulary, self.config, self.chatTemplates) = (path, vocabulary, config, chatTemplates)
  }

  /// The most bytes of a `tokenizer.json`. The largest in use have about 40 million.
  private static let byteLimit = 1 << 29

  /// Reads the tokenizer of a Hugging Face folder or a GGUF file, which may hold no weights.
  ///
  /// - Throws: ``CheckpointError`` where there is none or a part of it is damaged.
  public init(_ url: URL) throws(CheckpointError) {
    switch try ModelLocation(url) {
    case .gguf(let url):
      let file = try GGUFFile(url)
      self.init(
        path: url.path, vocabulary: .gguf(file.metadata), config: nil, chatTemplates: try TokenizerFiles.templates(file.metadata))
    case .folder(let url): try self.init(folder: url)
    }
  }

  /// Reads the tokenizer of a folder, whatever else that holds: a model, or an adapter.
  ///
  /// - Throws: ``CheckpointError`` where there is none or a part of it is damaged.
  public init(folder url: URL) throws(CheckpointError) {
    let folder = ModelFolder(url: url)
    path = url.path
    vocabulary = .tokenizerJSON(try TokenizerFiles.tokenizerJSON(folder))
    config = try folder.object("tokenizer_config.json")
    chatTemplates = try TokenizerFiles.templates(folder, config: config)
  }

  private static func tokenizerJSON(_ folder: ModelFolder) throws(CheckpointError) -> [UInt8] {
    guard let url = folder.file(tokenizerName) else {
      throw CheckpointError(
        .missing, at: folder.url.path, "has no tokenizer.json; \(folder.listing)",
        remedy: "transformers writes one: `AutoTokenizer.from_pretrained(folder).save_pretrained(folder)`")
    }
    let file = try MappedFile(url)
    try LFSPointer.refuse(file)
    guard file.bytes.count <= byteLimit else {
      throw CheckpointError(.malformed, at: file.path, "has \(file.bytes.count) bytes, more than the \(byteLimit) allowed")
    }
    return Array(file.bytes)
  }

  private static func templates(_ metadata: GGUFMetadata) throws(CheckpointError) -> OrderedDictionary<String, String> {
    var templates: OrderedDictionary<String, String> = [:]
    let key = "tokenizer.chat_template"
    if let template = try metadata.string(key) { templates["default"] = template }
    for name in metadata.values.keys where name.hasPrefix(key + ".") {
      templates[String(name.dropFirst(key.count + 1))] = try metadata.string(name)
    }
    return templates
  }

  /// In the order in which transformers looks: files of their own count before what `tokenizer_config.json` holds.
  private static func templates(
    _ folder: ModelFolder, config: JSON?
  ) throws(CheckpointError) -> OrderedDictionary<String, String> {
    var templates: OrderedDictionary<String, String> = [:]
    if let url = folder.file("chat_template.jinja") {
      templates["default"] = try text(url)
    } else if let object = try folder.object("chat_template.json"), let template = object["chat_template"]?.string {
      templates["default"] = template
    }
    let named = "additional_chat_templates"
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.url.appendingPathComponent(named).path)) ?? []
    for file in files.sorted() where file.hasSuffix(".jinja") {
      templates[String(file.dropLast(6))] = try text(folder.url.appendingPathComponent(named).appendingPathComponent(file))
    }
    if !templates.isEmpty { return templates }
    switch config?["chat_template"] {
    case .string(let template): templates["default"] = template
    case .array(let list):
      for entry in list {
        if let name = entry["name"]?.string, let template = entry["template"]?.string { templates[name] = template }
      }
    default: break
    }
    return templates
  }

  private static func text(_ url: URL) throws(CheckpointError) -> String {
    let file = try MappedFile(url)
    guard file.bytes.count <= JSONFile.byteLimit, let text = String(validating: file.bytes, as: UTF8.self) else {
      throw CheckpointError(.malformed, at: file.path, "is not UTF-8 text")
    }
    return text
  }
}
