import Foundation
import TestSupport
import Testing
import Text

@Suite struct DataTests {
  let folder: TemporaryFolder
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder).path
  }

  @Test func aRenderingIsPrintedAsItIs() throws {
    let golden = try expected()["chat"]
    let messages = try folder.write((golden?["messages"] ?? .null).text(), to: "chat.json")
    let result = try Program.run(
      "data", "render", "--model", model, "--messages", messages, "--add-generation-prompt", in: folder)
    #expect(result.output == golden?["rendered"]?.string)
    #expect(result.errors.isEmpty)
    let whole = try Program.run("data", "render", "--model", model, "--messages", messages, in: folder)
    #expect(whole.output + "<|im_start|>assistant\n" == golden?["rendered"]?.string)
  }

  @Test func aBadMessageIsNamed() throws {
    let messages = try folder.write(#"[{"role": "user", "content": "a"}, {"content": "b"}]"#, to: "chat.json")
    let result = try Program.run("data", "render", "--model", model, "--messages", messages, in: folder)
    #expect(result.status == 1)
    #expect(result.errors == "error: \(messages): message 1 has no “role”\n")
  }

  @Test func aPreviewMarksWhatIsLearnt() throws {
    let rows = try folder.write(
      #"{"messages": [{"role": "user", "content": "the"}, {"role": "assistant", "content": "and"}]}"#, to: "rows.jsonl")
    let result = try Program.run("data", "preview", rows, "--model", model, in: folder)
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.contains("⟦and|‹<|im_end|>›"))
    let json = try Program.run("data", "preview", rows, "--model", model, "--json", in: folder)
    let tokens = try json.json["tokens"]?.array ?? []
    #expect(tokens.filter { $0["is_trained"]?.bool == true }.first?["text"]?.string == "and")
  }

  @Test func inspectionCountsInTheModelsTokens() throws {
    let rows = try folder.write("{\"text\": \"the sea\"}\n{\"text\": \"the sea\"}\n{\"text\": \"on\"}\n", to: "rows.jsonl")
    let result = try Program.run("data", "inspect", rows, "--model", model, "--max-length", "4", "--json", in: folder)
    let report = try result.json
    #expect(report["unit"]?.string == "tokens")
    #expect(report["samples"]?.int == 3)
    #expect(report["duplicates"]?["copies"]?.int == 1)
    // <bos>the sea<eos>: six tokens.
    #expect(report["lengths"]?["max"]?.int == 6)
    #expect(report["limit"]?["long_samples"]?.int == 2)
  }

  @Test func validationFailsWhereARowIsBad() throws {
    let good = try folder.write("{\"text\": \"a\"}\n", to: "good.jsonl")
    #expect(try Program.run("data", "validate", good, in: folder).status == 0)
    let bad = try folder.write("{\"text\": \"a\"}\n{\"text\": 3}\n", to: "bad.jsonl")
    let result = try Program.run("data", "validate", bad, in: folder)
    #expect(result.status == 1)
    #expect(result.output.contains("\(bad):2"))
    let missing = try Program.run("data", "validate", folder.path("none.jsonl"), in: folder)
    #expect(missing.status == 1)
    #expect(missing.errors.hasPrefix("error: "))
  }

  /// The second time the tokens come from the cache, and it is said so.
  @Test func encodingSaysWhetherTheCacheWasUsed() throws {
    let rows = try folder.write(#"{"prompt": "the", "completion": " sea"}"#, to: "rows.jsonl")
    let recipe = try folder.write("model: \(model)\ndata: { train: \(rows) }\noutput: \(folder.path("run"))\n", to: "recipe.yaml")
    let first = try Program.run("data", "encode", recipe, in: folder)
    #expect(first.status == 0, "\(first.errors)")
    #expect(first.output.contains("1 sample became 1") && first.output.contains("tokens: made anew and kept in the cache"))
    let second = try Program.run("data", "encode", recipe, in: folder)
    #expect(second.output.contains("1 sample became 1") && second.output.contains("tokens: from the cache, "))
    let json = try Program.run("data", "encode", recipe, "--json", in: folder).json
    #expect(json["cache"]?["use"]?.string == "used" && json["training"]?["encoded"]?.int == 1)
    let without = try Program.run("data", "encode", recipe, "--no-cache", "--json", in: folder).json
    #expect(without["cache"]?["use"]?.string == "off")
  }
}
