import Foundation
import TestSupport
import Testing
import Text

@Suite struct UsageTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test func helpAndVersionAreData() throws {
    for arguments in [["--help"], ["help"], ["-h"]] {
      let result = try Program.run(arguments[0], in: folder)
      #expect(result.status == 0)
      #expect(result.errors.isEmpty)
      for verb in ["tune", "generate", "chat", "score", "tokenize", "data", "models", "merge", "doctor"] {
        #expect(result.output.contains("\n  \(verb) "), "\(verb)")
      }
    }
    #expect(try Program.run("--version", in: folder).output == "0.1.0\n")
  }

  @Test(arguments: ["tune", "quickstart", "generate", "chat", "score", "tokenize", "merge", "doctor", "label", "judge"])
  func everyVerbHasHelpWithAnExample(_ verb: String) throws {
    let result = try Program.run("help", verb, in: folder)
    #expect(result.status == 0)
    #expect(result.output.hasPrefix("OVERVIEW: "))
    #expect(result.output.contains("attune \(verb)"))
  }

  @Test(arguments: ["inspect", "preview", "validate", "render"])
  func everyDataVerbHasHelpWithAnExample(_ verb: String) throws {
    #expect(try Program.run("help", "data", verb, in: folder).output.contains("\n  attune data \(verb) "))
  }

  static let wrong: [[String]] = [
    ["nonsense"], ["generate"], ["generate", "--model", "m"], ["generate", "--model", "m", "--prompt", "p", "--dtype", "f16"],
    ["generate", "--model", "m", "--prompt", "p", "--device", "tpu"],
    ["generate", "--model", "m", "--prompt", "p", "--top-p", "1.5"],
    ["generate", "--model", "m", "--prompt", "p", "--raw", "--system", "s"],
    ["generate", "--model", "m", "--prompt", "p", "--threads", "0"], ["tokenize", "--model", "m"],
    ["tokenize", "--model", "m", "--text", "a", "--input", "b"], ["data", "inspect"],
    ["data", "inspect", "x.jsonl", "--format", "xml"], ["data", "inspect", "x.jsonl", "--max-length", "4"],
  ]

  @Test(arguments: wrong)
  func aWrongCommandLineHasStatusTwo(_ arguments: [String]) throws {
    let result = try run(arguments)
    #expect(result.status == 2, "\(arguments)")
    #expect(result.output.isEmpty)
    #expect(result.errors.hasPrefix("error: "))
  }

  @Test func anUnknownVerbIsNamedWithTheNearest() throws {
    let result = try Program.run("tunee", "recipe.yaml", in: folder)
    #expect(result.status == 2)
    #expect(result.errors.hasPrefix("error: there is no command “tunee”; did you mean “tune”?"))
  }

  @Test func aRecipeThatIsAFolderIsRefused() throws {
    let result = try Program.run("tune", folder.url.path, in: folder)
    #expect(result.status == 1)
    #expect(result.errors.hasPrefix("error: ") && result.errors.contains("is a folder"))
  }

  @Test func aFailureOfTheSystemNamesThePath() throws {
    let model = try TinyModels.folder("llama-tied", in: folder).path
    let file = try folder.write("precious", to: "file")
    let result = try Program.run("merge", "--model", model, "--output", file, in: folder)
    #expect(result.status == 1)
    #expect(result.errors == "error: \(file) is a file, and the model needs a folder; name another one\n")
    #expect(try String(contentsOfFile: file, encoding: .utf8) == "precious")
    let tokenizer = URL(filePath: model + "/tokenizer.json")
    try Data("{".utf8).write(to: tokenizer)
    let cut = try Program.run("tokenize", "--model", model, "--text", "a", in: folder)
    #expect(cut.errors.hasPrefix("error: \(tokenizer.path): "))
  }

  @Test func anUnknownValueIsNamedWithTheKnownOnes() throws {
    let result = try Program.run("generate", "--model", "m", "--prompt", "p", "--dtype", "f16", in: folder)
    #expect(result.errors.contains("'f16'") && result.errors.contains("'f32', 'bf16' or 'auto'"))
  }

  @Test func damagedModelsAreRefusedInALine() throws {
    let model = try TinyModels.folder("llama-tied", in: folder)
    let weights = model.appending(path: "model.safetensors")
    let bytes = try Data(contentsOf: weights)
    try bytes.prefix(bytes.count - 100).write(to: weights)
    let cut = try Program.run("generate", "--model", model.path, "--prompt", "a", in: folder)
    #expect(cut.status == 1)
    #expect(cut.errors.hasPrefix("error: \(weights.path): "))
    #expect(cut.errors.split(separator: "\n").count == 1)
    try Data("GGUF".utf8).write(to: folder.url.appending(path: "cut.gguf"))
    let gguf = try Program.run("tokenize", "--model", folder.path("cut.gguf"), "--text", "a", in: folder)
    #expect(gguf.status == 1)
    #expect(gguf.errors.hasPrefix("error: \(folder.path("cut.gguf")): "))
    let pickle = try TinyModels.folder("gpt2", in: folder)
    try FileManager.default.moveItem(
      at: pickle.appending(path: "model.safetensors"), to: pickle.appending(path: "pytorch_model.bin"))
    #expect(try Program.run("merge", "--model", pickle.path, "--output", "x", in: folder).errors.contains("is a pickle"))
  }

  @Test func anAdapterOfAModelOfAnotherNameIsNoted() throws {
    let arguments = ["--prompt", "a", "--raw", "--max-new-tokens", "1", "--adapter", Goldens.url("adapters/lora").path]
    let own = try TinyModels.folder("llama-tied", in: folder)
    let fitting = try run(["generate", "--model", own.path] + arguments)
    #expect(fitting.status == 0 && !fitting.errors.contains("note:"))
    let other = folder.url.appending(path: "other")
    try FileManager.default.copyItem(at: own, to: other)
    let noted = try run(["generate", "--model", other.path] + arguments)
    #expect(noted.status == 0 && noted.errors.contains("was made for the model “llama-tied”"))
  }

  @Test func aMissingAdapterIsNamed() throws {
    let model = try TinyModels.folder("llama-tied", in: folder).path
    let missing = try Program.run("generate", "--model", model, "--adapter", "nowhere", "--prompt", "a", in: folder)
    #expect(missing.status == 1)
    #expect(missing.errors == "error: there is no adapter at “nowhere”: no such folder\n")
    let wrong = try Program.run("generate", "--model", model, "--adapter", model, "--prompt", "a", in: folder)
    #expect(wrong.errors.contains("holds no adapter"))
  }

  private func run(_ arguments: [String]) throws -> Program.Result { try Program.run(arguments: arguments, in: folder) }
}
