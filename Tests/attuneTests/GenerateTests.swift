import Foundation
import TestSupport
import Testing
import Text

@Suite struct GenerateTests {
  let folder: TemporaryFolder
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder).path
  }

  @Test func aRawPromptIsContinuedAsTheReferenceDoes() throws {
    let golden = try expected()["raw"]
    let prompt = try #require(golden?["prompt"]?.string)
    let result = try Program.run(
      "generate", "--model", model, "--prompt", prompt, "--raw", "--max-new-tokens", "16", "--dtype", "f32", in: folder)
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output == (golden?["text"]?.string).map { $0 + "\n" })
  }

  @Test func jsonHasTokensAndCounts() throws {
    let golden = try expected()["chat"]
    let messages = golden?["messages"]?.array ?? []
    let result = try Program.run(
      "generate", "--model", model, "--system", messages[0]["content"]?.string ?? "", "--prompt",
      messages[1]["content"]?.string ?? "", "--max-new-tokens", "8", "--dtype", "f32", "--json", in: folder)
    #expect(result.status == 0, "\(result.errors)")
    let json = try result.json
    #expect(json["tokens"]?.ids == golden?["new_tokens"]?.ids)
    #expect(json["text"]?.string == golden?["text"]?.string)
    #expect(json["prompt_tokens"]?.int == golden?["prompt_tokens"]?.array?.count)
    #expect(json["finish_reason"]?.string == "length")
  }

  @Test func thePromptMayComeFromStandardInput() throws {
    let golden = try expected()["raw"]
    let result = try Program.run(
      "generate", "--model", model, "--prompt", "-", "--raw", "--max-new-tokens", "16", "--dtype", "f32", "--json",
      input: (golden?["prompt"]?.string ?? "") + "\n", in: folder)
    #expect(try result.json["tokens"]?.ids == golden?["new_tokens"]?.ids)
  }

  @Test func aSeedGivesTheSameAnswerAgain() throws {
    func answer(seed: String) throws -> String {
      try Program.run(
        "generate", "--model", model, "--prompt", "the ", "--raw", "--temperature", "1", "--seed", seed, "--max-new-tokens", "12",
        "--dtype", "f32", in: folder
      ).output
    }
    #expect(try answer(seed: "7") == answer(seed: "7"))
    #expect(try answer(seed: "7") != answer(seed: "8"))
  }

  @Test func theModelsOwnSamplingIsUsedUnlessOverridden() throws {
    let config = #"{"do_sample": true, "temperature": 1.5, "top_k": 40, "eos_token_id": 2}"#
    try Data(config.utf8).write(to: URL(filePath: model + "/generation_config.json"))
    let golden = try expected()["raw"]
    func tokens(_ extra: String) throws -> [Int]? {
      try Program.run(
        "generate", "--model", model, "--prompt", golden?["prompt"]?.string ?? "", "--raw", "--max-new-tokens", "16", "--dtype",
        "f32", "--json", "--seed", "3", "--temperature=\(extra)", in: folder
      ).json["tokens"]?.ids
    }
    #expect(try tokens("0") == golden?["new_tokens"]?.ids)
    #expect(try tokens("1.5") != golden?["new_tokens"]?.ids)
  }

  @Test func anAdapterAppliesFromItsFolderAndFromARuns() throws {
    let run = folder.url.appending(path: "run")
    try FileManager.default.createDirectory(at: run, withIntermediateDirectories: true)
    try FileManager.default.copyItem(at: Goldens.url("adapters/lora"), to: run.appending(path: "adapter"))
    let inputs = ["adapter": Goldens.url("adapters/lora").path, "run": run.path]
    var outputs: [String: [Int]] = [:]
    for (name, path) in inputs {
      let result = try Program.run(
        "generate", "--model", model, "--adapter", path, "--prompt", "the sea and ", "--raw", "--max-new-tokens", "8", "--dtype",
        "f32", "--json", in: folder)
      #expect(result.status == 0, "\(result.errors)")
      outputs[name] = try result.json["tokens"]?.ids
    }
    #expect(outputs["adapter"] == outputs["run"])
    #expect(outputs["run"] != (try expected()["raw"]?["new_tokens"]?.ids.map { Array($0.prefix(8)) }))
  }

  @Test func aStopTextEndsTheAnswerAndIsLeftOut() throws {
    let text = try #require(try expected()["raw"]?["text"]?.string)
    let stop = String(text.dropFirst(3).prefix(2))
    let result = try Program.run(
      "generate", "--model", model, "--prompt", "the sea and ", "--raw", "--max-new-tokens", "16", "--dtype", "f32", "--stop",
      stop,
      "--json", in: folder)
    let json = try result.json
    #expect(json["finish_reason"]?.string == "stop_string")
    let upTo = try #require(text.range(of: stop)).lowerBound
    #expect(json["text"]?.string == String(text[..<upTo]))
  }
}
