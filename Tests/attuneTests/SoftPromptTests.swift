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

  private func scores(_ adapter: String?, _ more: String...) throws -> Program.Result {
    let adapters = adapter.map { ["--adapter", Goldens.url("soft-prompts/\($0)").path] } ?? []
    let arguments = ["score", "--model", model, "--input", "-", "--output", "-", "--dtype", "f32"] + adapters + more
    return try Program.run(arguments: arguments, input: "{\"tokens\": [5, 9, 30, 31]}\n", in: folder)
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
