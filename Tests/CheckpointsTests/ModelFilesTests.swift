import Foundation
import OrderedCollections
import Testing
import Text

@testable import Checkpoints

struct ModelFilesTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func refusal() throws -> String { try #require(failure { _ = try ModelFiles(folder.url) }) }

  @Test func opensAFolder() throws {
    _ = try folder.write(#"{"model_type":"llama"}"#, to: "config.json")
    _ = try folder.write(#"{"eos_token_id":[1,2]}"#, to: "generation_config.json")
    _ = try folder.write(Golden.bytes("every_type.safetensors"), to: "model.safetensors")
    let model = try ModelFiles(folder.url)
    #expect(model.config == ["model_type": "llama"])
    #expect(model.generationConfig == ["eos_token_id": [1, 2]])
    #expect(model.weights.names.count == 14)
    #expect(model.path == folder.url.path)
  }

  @Test func nothingThere() throws {
    let url = folder.file("none")
    let text = try #require(failure { _ = try ModelFiles(url) })
    #expect(text.hasPrefix("\(url.path): there is no such file or folder. Give a Hugging Face folder or a .gguf file"))
  }

  @Test func aFolderWithoutConfigurationListsWhatIsThere() throws {
    #expect(try refusal() == "\(folder.url.path): has no config.json; the folder is empty")
    _ = try folder.write("", to: "README.md")
    _ = try folder.write("", to: "q4.gguf")
    #expect(
      try refusal() == "\(folder.url.path): has no config.json; the folder holds README.md, q4.gguf. "
        + "For a GGUF model give the file itself, for example \(folder.url.path)/q4.gguf")
    for number in 0..<30 { _ = try folder.write("", to: "shard-\(number)") }
    #expect(try refusal().contains(" and 12 more"))
  }

  @Test func anAdapterIsNoModel() throws {
    _ = try folder.write("{}", to: "adapter_config.json")
    #expect(try refusal().contains("holds an adapter and no model. Give it as --adapter"))
  }

  @Test func configurationsMustBeObjects() throws {
    let path = folder.file("config.json").path
    _ = try folder.write("[1]", to: "config.json")
    #expect(try refusal() == "\(path): is not a JSON object")
    _ = try folder.write("{\n \"a\": }", to: "config.json")
    #expect(try refusal().hasPrefix("\(path): not valid JSON at line 2, column 7"))
    _ = try folder.write("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", to: "config.json")
    #expect(try refusal().hasPrefix("\(path): is a Git LFS pointer, not the file itself. Fetch the contents with `git lfs pull`"))
  }

  @Test(arguments: ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "consolidated.00.pth"])
  func picklesAreRefused(name: String) throws {
    _ = try folder.write("{}", to: "config.json")
    _ = try folder.write("x", to: name)
    let text = try refusal()
    #expect(text.hasPrefix("\(folder.url.path): file “\(name)”: is a pickle, a format that runs code"))
    #expect(text.contains("Convert to safetensors"))
  }

  @Test func noWeights() throws {
    _ = try folder.write("{}", to: "config.json")
    #expect(
      try refusal()
        == "\(folder.url.path): has no model.safetensors and no model.safetensors.index.json; the folder holds config.json")
    _ = try folder.write("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", to: "model.safetensors")
    #expect(try refusal().contains("model.safetensors: is a Git LFS pointer"))
  }

  @Test func aFileMustBeGGUF() throws {
    let url = try folder.write("PK", to: "model.zip")
    #expect(failure { _ = try ModelFiles(url) }?.contains("is not a GGUF file. For other formats give the folder") == true)
  }

  // MARK: - Tokenizers

  private func tokenizer(_ config: String) throws -> TokenizerFiles {
    _ = try folder.write("{\"model\":{}}", to: "tokenizer.json")
    _ = try folder.write(config, to: "tokenizer_config.json")
    return try TokenizerFiles(folder.url)
  }

  @Test func tokenizerOfAFolder() throws {
    let files = try tokenizer(#"{"bos_token":"<s>","chat_template":"in the configuration"}"#)
    guard case .tokenizerJSON(let bytes) = files.vocabulary else { throw Wrong() }
    #expect(bytes == Array("{\"model\":{}}".utf8))
    #expect(files.config?["bos_token"]?.string == "<s>")
    #expect(files.chatTemplate == "in the configuration")
    _ = try folder.write(#"{"chat_template":"in JSON"}"#, to: "chat_template.json")
    #expect(try TokenizerFiles(folder.url).chatTemplate == "in JSON")
    _ = try folder.write("in a file", to: "chat_template.jinja")
    #expect(try TokenizerFiles(folder.url).chatTemplate == "in a file")
    try FileManager.default.createDirectory(at: folder.file("additional_chat_templates"), withIntermediateDirectories: false)
    _ = try folder.write("with tools", to: "additional_chat_templates/tool_use.jinja")
    #expect(try TokenizerFiles(folder.url).chatTemplates == ["default": "in a file", "tool_use": "with tools"])
  }

  @Test func namedTemplates() throws {
    let files = try tokenizer(
      #"{"chat_template":[{"name":"default","template":"one"},{"name":"tool_use","template":"two"}]}"#)
    #expect(files.chatTemplates == ["default": "one", "tool_use": "two"])
    #expect(files.chatTemplate == "one")
    #expect(try tokenizer("{}").chatTemplate == nil)
  }

  @Test func aFolderWithoutTokenizer() throws {
    _ = try folder.write("x", to: "tokenizer.model")
    let text = try #require(failure { _ = try TokenizerFiles(folder.url) })
    #expect(text.contains("has no tokenizer.json; the folder holds tokenizer.model. transformers writes one"))
  }

  /// A file without tensors and of an unknown architecture still tokenizes.
  @Test func tokenizerOfAVocabularyOnly() throws {
    let bytes = GGUFBytes(keys: [
      ("general.architecture", .string("starcoder")), ("tokenizer.ggml.tokens", .array(.string(["a", "b"]))),
      ("tokenizer.chat_template", .string("template")), ("tokenizer.chat_template.tool_use", .string("with tools")),
    ])
    let url = try folder.write(bytes.file, to: "vocabulary.gguf")
    let files = try TokenizerFiles(url)
    guard case .gguf(let metadata) = files.vocabulary else { throw Wrong() }
    #expect(try metadata.strings("tokenizer.ggml.tokens") == ["a", "b"])
    #expect(files.chatTemplates == ["default": "template", "tool_use": "with tools"])
    #expect(throws: CheckpointError.self) { try ModelFiles(url) }
  }

  struct Wrong: Error {}
}
