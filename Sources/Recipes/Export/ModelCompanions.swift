import Checkpoints
import Foundation
import OrderedCollections
import Text

/// The files beside a model's weights: tokenizer, chat template, sampling defaults.
struct ModelCompanions {
  let source: URL
  /// The model in `source`; nil for a folder that holds none.
  let files: ModelFiles?
  /// The vocabulary where it has grown beyond that of the source.
  let vocabulary: GrownVocabulary?
  /// What could not be written and why.
  private(set) var notes: [String] = []

  init(source: URL, files: ModelFiles?, vocabulary: GrownVocabulary? = nil) {
    (self.source, self.files, self.vocabulary) = (source, files, vocabulary)
  }

  /// Files of a Hugging Face folder that go along unchanged.
  private static let names = [
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "chat_template.jinja", "chat_template.json", "tokenizer.model", "vocab.json", "merges.txt",
  ]

  /// Writes them into `folder`, out of the source's own or from what its GGUF file says.
  ///
  /// - Returns: their names.
  mutating func write(to folder: URL) throws -> [String] {
    var isFolder: ObjCBool = false
    _ = FileManager.default.fileExists(atPath: source.path, isDirectory: &isFolder)
    let written = isFolder.boolValue ? try copy(to: folder) : try convert(to: folder)
    guard let vocabulary else { return written }
    // The grown tokenizer takes the place of the source's; older files of it would say less.
    for name in ["added_tokens.json", "special_tokens_map.json"] {
      try? FileManager.default.removeItem(at: folder.appending(path: name))
    }
    return written + (try vocabulary.write(to: folder)).filter { !written.contains($0) }
  }

  private func copy(to folder: URL) throws -> [String] {
    let templates = (try? FileManager.default.contentsOfDirectory(atPath: path("additional_chat_templates"))) ?? []
    let names = Self.names + templates.sorted().map { "additional_chat_templates/\($0)" }
    let present = names.filter { FileManager.default.fileExists(atPath: path($0)) }
    for name in present {
      // Read and written, since a link of a download cache would lead nowhere from here.
      try write(Array(Data(contentsOf: source.appending(path: name))), as: name, in: folder)
    }
    return present
  }

  private func path(_ name: String) -> String { source.appending(path: name).path }

  private func write(_ bytes: [UInt8], as name: String, in folder: URL) throws {
    let file = folder.appending(path: name)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try AtomicFile.write(bytes, to: file)
  }

  private mutating func convert(to folder: URL) throws -> [String] {
    var contents: OrderedDictionary<String, String> = [:]
    if let config = files?.generationConfig { contents["generation_config.json"] = config.text(.pretty) + "\n" }
    let tokenizer = try TokenizerFiles(source)
    for (name, template) in tokenizer.chatTemplates {
      contents[name == "default" ? "chat_template.jinja" : "additional_chat_templates/\(name).jinja"] = template
    }
    if case .gguf(let metadata) = tokenizer.vocabulary {
      let vocabulary = try metadata.vocabulary()
      do {
        contents["tokenizer.json"] = try vocabulary.tokenizerJSON()
        let context = files?.config["max_position_embeddings"]?.int ?? files?.config["n_positions"]?.int
        contents["tokenizer_config.json"] = try vocabulary.tokenizerConfigJSON(contextLength: context).text(.pretty) + "\n"
      } catch {
        notes.append("no tokenizer was written: \(error). Copy tokenizer.json and tokenizer_config.json from the original model")
      }
    }
    for (name, text) in contents { try write(Array(text.utf8), as: name, in: folder) }
    if contents["tokenizer.json"] != nil { try compareTokenizers(with: folder) }
    return Array(contents.keys)
  }

  /// Texts in which tokenizers that differ give themselves away: case, digits, spaces, scripts, composed letters, symbols.
  private static let probes = [
    "The quick brown fox doesn't jump over 1234567 lazy dogs.", "  two  spaces\n\n\tand\r\n tabs   ", "I'LL we've THEY'RE x'y",
    "naïve cafe\u{301} ÅÄÖ ﬁ", "你好，世界。こんにちは 안녕하세요", "Привет мир — שלום עולם — مرحبا", "🙂👩‍👩‍👧 ½ ² ①",
    "def f(x): return {'a': [1, 2.5]}  # ok", "!?…“”<>|@#$%^&*()_+-=[]{}\\/~`", "a\u{00A0}b\u{200D}c\u{0}d",
  ]

  /// Checks that the tokenizer written gives the ids of the one it was made from.
  private func compareTokenizers(with folder: URL) throws {
    let (own, written) = (try TextSide(source).tokenizer, try TextSide(folder).tokenizer)
    let special = own.special.eos.map { ["so\($0)it \($0)\n goes"] } ?? []
    for text in Self.probes + special
    where own.encode(text, addSpecialTokens: true) != written.encode(text, addSpecialTokens: true) {
      throw RecipeError("\(folder.path): the tokenizer written splits “\(text)” otherwise than the one of \(source.path)")
    }
  }
}
