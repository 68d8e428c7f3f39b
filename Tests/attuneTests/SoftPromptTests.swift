import Foundation
import TestSupport
import Testing
import Text

/// Virtual tokens with the program, as a user has them.
@Suite struct SoftPromptTests {
  let folder: TemporaryFolder
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder).path
  }

  private func scores(
    _ adapter: String?, _ more: String..., input: String = "{\"tokens\": [5, 9, 30, 31]}\n"
  ) throws -> Program.Result {
    let adapters = adapter.map { ["--adapter", Goldens.url("soft-prompts/\($0)").path] } ?? []
    let arguments = ["score", "--model", model, "--input", "-", "--output", "-", "--dtype", "f32"] + adapters + more
    return try Program.run(arguments: arguments, input: input, in: folder)
  }

  @Test(arguments: ["prompt-tuning-llama", "p-tuning-lstm-llama", "prefix-tuning-llama", "prefix-projection-llama"])
  func scoresAndGenerates(adapter: String) throws {
    let (with, without) = (try scores(adapter), try scores(nil))
    #expect(with.status == 0 && without.status == 0, "\(with.errors)")
    #expect(with.output != without.output)
    let generated = try Program.run(
      "generate", "--model", model, "--adapter", Goldens.url("soft-prompts/\(adapter)").path, "--prompt", "the sea and ", "--raw",
      "--max-new-tokens", "6", "--temperature", "0", "--dtype", "f32", "--json", in: folder)
    #expect(generated.status == 0, "\(generated.errors)")
    #expect((try generated.json["new_tokens"]?.int ?? 0) > 0)
  }

  @Test func tasks() throws {
    let outputs = try ["0", "1", "2"].map { try scores("multitask-llama", "--task", $0) }
    #expect(outputs.allSatisfy { $0.status == 0 } && Set(outputs.map(\.output)).count == 3)
    let missing = try scores("multitask-llama", "--task", "3")
    #expect(missing.status == 1 && missing.errors.contains("num_tasks"), "\(missing.errors)")
    #expect(try scores("multitask-llama", "--task", "-1").status == 2)
  }

  /// Lines of one file with soft prompts of their own are answered as with each alone.
  @Test func linesHaveTheirOwn() throws {
    let names = ["prompt-tuning-llama", "prefix-tuning-llama", "multitask-llama"]
    let adapters = names.flatMap { ["--adapter", Goldens.url("soft-prompts/\($0)").path] }
    func lines(_ verb: String, _ options: [String], _ input: [String]) throws -> [JSON] {
      let result = try Program.run(
        arguments: [verb, "--model", model, "--input", "-", "--output", "-", "--dtype", "f32"] + options,
        input: input.joined(separator: "\n"), in: folder)
      #expect(result.status == 0, "\(result.errors)")
      return try result.jsonLines
    }
    let asked: [(line: String, alone: [String])] = [
      ("\"prefix-tuning-llama\"", ["--adapter", Goldens.url("soft-prompts/prefix-tuning-llama").path]), ("null", []),
      ("\"multitask-llama\", \"task\": 2", ["--adapter", Goldens.url("soft-prompts/multitask-llama").path, "--task", "2"]),
      ("[\"prompt-tuning-llama\"]", ["--adapter", Goldens.url("soft-prompts/prompt-tuning-llama").path]),
    ]
    let tokens = "{\"tokens\": [5, 9, 30, 31]"
    let scored = try lines("score", adapters, asked.map { "\(tokens), \"adapter\": \($0.line)}" })
    #expect(Set(scored.map { $0.text() }).count == 4)
    for (line, asked) in zip(scored, asked) {
      let alone = try #require(try lines("score", asked.alone, ["\(tokens)}"]).first)
      let pairs = zip(line["logprobs"]?.array ?? [], alone["logprobs"]?.array ?? []).dropFirst()
      #expect(pairs.allSatisfy { abs(($0.double ?? .nan) - ($1.double ?? .nan)) < 1e-4 })
    }
    let greedy = ["--temperature", "0", "--max-new-tokens", "6", "--raw"]
    let prompt = "{\"prompt\": \"the sea\""
    let answered = try lines("generate", adapters + greedy, asked.map { "\(prompt), \"adapter\": \($0.line)}" })
    for (line, asked) in zip(answered, asked) {
      let alone = try #require(try lines("generate", asked.alone + greedy, ["\(prompt)}"]).first)
      #expect(line["tokens"] == alone["tokens"])
    }
    let bad = try scores("multitask-llama", input: "{\"tokens\": [5], \"task\": \"one\"}\n")
    #expect(bad.status == 1 && bad.errors.contains("standard input:1: “task” is \"one\""), "\(bad.errors)")
    let long = Array(repeating: "5", count: 62).joined(separator: ", ")
    let full = try scores("prompt-tuning-llama", input: "{\"tokens\": [\(long)], \"adapter\": null}\n{\"tokens\": [\(long)]}\n")
    #expect(
      full.status == 1 && full.errors.contains("input:2: has 62 tokens") && !full.errors.contains("input:1"), "\(full.errors)")
  }

  @Test func mergingIsRefusedWithWhatToDo() throws {
    let merge = try Program.run(
      "merge", "--model", model, "--adapter", Goldens.url("soft-prompts/prefix-tuning-llama").path, "--output",
      folder.path("merged"), in: folder)
    #expect(
      merge.status == 1 && merge.errors.contains("cannot be merged") && merge.errors.contains("--adapter"), "\(merge.errors)")
    #expect(!FileManager.default.fileExists(atPath: folder.path("merged")))
  }

  @Test func anAdapterOfAnotherModelIsRefused() throws {
    let result = try scores("prompt-tuning-vocabulary")
    #expect(result.status == 0, "a model of the same sizes takes it: \(result.errors)")
    let other = try TinyModels.folder("mistral", in: folder).path
    let wrong = try Program.run(
      "generate", "--model", other, "--adapter", Goldens.url("soft-prompts/prefix-tuning-llama").path, "--prompt", "a", "--raw",
      in: folder)
    #expect(wrong.status == 1 && wrong.errors.contains("another model"), "\(wrong.errors)")
  }
}
