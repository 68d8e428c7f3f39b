import Foundation
import TestSupport
import Testing
import Text

@Suite struct ModelsTests {
  let folder: TemporaryFolder
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder).path
  }

  @Test func namesComeAndGo() throws {
    #expect(try Program.run("models", "list", "--json", in: folder).json == [])
    #expect(try Program.run("models", "add", model, "--name", "tiny", in: folder).status == 0)
    #expect(try Program.run("models", "list", in: folder).output == "tiny  \(model)\n")
    #expect(try Program.run("tokenize", "--model", "tiny", "--text", "a", in: folder).output == "1 8\n")
    #expect(try Program.run("models", "remove", "tiny", in: folder).status == 0)
    #expect(try Program.run("models", "list", "--json", in: folder).json == [])
  }

  @Test func aWrongNameIsToldTheNearestOne() throws {
    _ = try Program.run("models", "add", model, "--name", "qwen3-small", in: folder)
    let result = try Program.run("generate", "--model", "qwen3-smal", "--prompt", "x", in: folder)
    #expect(result.status == 1)
    #expect(
      result.errors
        == "error: there is no model “qwen3-smal”: no such path, and no such name in the model store; "
        + "did you mean “qwen3-small”? `attune models list` shows what there is\n")
  }

  @Test func anInspectionTellsSizesAndTypes() throws {
    let result = try Program.run("models", "inspect", model, "--json", "--tensors", in: folder)
    let json = try result.json
    #expect(json["model_type"]?.string == "llama")
    #expect(json["supported"]?.bool == true)
    #expect(json["tokenizer"]?["tokens"]?.int == 96)
    #expect(json["tokenizer"]?["around_a_text"] == ["<bos>"])
    #expect(json["tokenizer"]?["stop_tokens"] == [2])
    #expect(json["tokenizer"]?["chat_templates"]?["default"]?.string?.hasPrefix("{% for message") == true)
    // Token table 96·32, two layers of 4·32·8·2 (q, o) … as safetensors counts them.
    let tensors = json["tensors"]?.array ?? []
    let elements = tensors.map { ($0["shape"]?.ids ?? []).reduce(1, *) }.reduce(0, +)
    #expect(json["parameters"]?.int == elements)
    #expect(json["types"]?[0]?["type"]?.string == "F32")
    #expect(json["types"]?[0]?["bytes"]?.int == elements * 4)
    #expect(tensors.count == json["types"]?[0]?["tensors"]?.int)
  }

  @Test func aFolderWithoutTokenizerIsStillTold() throws {
    let bare = try TinyModels.folder("gpt2", in: folder, withTokenizer: false).path
    let result = try Program.run("models", "inspect", bare, in: folder)
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.contains("architecture  ") && result.output.contains("no tokenizer: "))
  }

  @Test func theDoctorIsContent() throws {
    let result = try Program.run("doctor", "--json", in: folder)
    #expect(result.status == 0, "\(result.errors)")
    let json = try result.json
    #expect(json["problems"] == [])
    #expect(json["findings"]?["libtorch"]?["value"]?.string?.hasPrefix("2.13.") == true)
    #expect(json["findings"]?["arithmetic"]?["ok"]?.bool == true)
  }
}
