import Foundation
import TestSupport
import Testing
import Text

/// `attune plan`, and what `attune tune` does before its first step.
@Suite struct PlanTests {
  let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    let model = try TinyModels.folder("llama-tied", in: folder)
    let rows = (0..<8).map { #"{"prompt": "a b \#($0)", "completion": " c d"}"# }
    let data = try folder.write(rows.joined(separator: "\n") + "\n", to: "data.jsonl")
    try folder.write(
      """
      model: \(model.path)
      data: {train: \(data)}
      train: {batch_size: 4, max_steps: 2, dtype: f32, device: cpu, save_every: 1}
      output: \(folder.path("run"))
      """, to: "recipe.yaml")
  }

  private func attune(_ words: String...) throws -> Program.Result { try Program.run(arguments: words, in: folder) }

  @Test func asJSON() throws {
    let result = try attune("plan", "recipe.yaml", "--no-time", "--json", "--memory", "100GB")
    #expect(result.status == 0, "\(result.errors)")
    let json = try result.json
    #expect(json["fits"]?.bool == true && json["changes"]?.array?.isEmpty == true)
    let plan = json["plan"]
    #expect(plan?["method"]?.string == "lora" && plan?["dtype"]?.string == "float32" && plan?["steps"]?.int == 2)
    #expect(plan?["largest_batch"]?["samples"]?.int == 4 && plan?["largest_batch"]?["is_assumed"]?.bool == false)
    let memory = plan?["memory"]
    #expect(memory?["available"]?.int == 100_000_000_000)
    let whole = ["process", "adapters", "gradients", "optimizer", "activations", "head", "work", "spare"]
    let parts = whole.compactMap { memory?[$0]?.int }
    let weights = memory?["weights"]?.array?.compactMap { $0["bytes"]?.int } ?? []
    #expect(parts.count == whole.count && memory?["peak"]?.int ?? 0 >= (parts + weights).reduce(0, +))
    #expect(plan?["disk"]?["checkpoints_kept"]?.int == 2)
    #expect(!FileManager.default.fileExists(atPath: folder.path("run")))
  }

  @Test func asText() throws {
    let result = try attune("plan", "recipe.yaml", "--no-data", "--no-time")
    #expect(result.status == 0, "\(result.errors)")
    for words in ["lora, sft, float32 on cpu", "assumed: the data were not read", "activations", "at most", "checkpoints"] {
      #expect(result.output.contains(words), "\(words): \(result.output)")
    }
  }

  @Test func aRecipeThatFitsIsWritten() throws {
    // Batches so large that what one process holds more than another is nothing beside them.
    let large = ["plan", "recipe.yaml", "--no-data", "--no-time", "--set", "train.batch_size=1024"]
    let whole = try Program.run(arguments: large + ["--json"], in: folder).json["plan"]?["memory"]
    let (peak, activations) = (try #require(whole?["peak"]?.int), try #require(whole?["activations"]?.int))
    try #require(activations > 100_000_000)
    let fitting = ["--memory", "\(peak - activations / 3)", "--fit", "--output", "smaller.yaml"]
    let result = try Program.run(arguments: large + fitting, in: folder)
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.contains("It does not fit") && result.output.contains("train.batch_size="))
    let smaller = try String(contentsOfFile: folder.path("smaller.yaml"), encoding: .utf8)
    #expect(smaller.contains("gradient_accumulation: ") && !smaller.contains("batch_size: 1024"))
    #expect(try attune("plan", "recipe.yaml", "--output", "x").status == 2)
  }

  @Test func tuneSaysWhatItNeeds() throws {
    let result = try attune("tune", "recipe.yaml")
    #expect(result.status == 0 && result.errors.contains("memory: about "), "\(result.errors)")
    let silent = try attune("tune", "recipe.yaml", "--no-plan", "--overwrite")
    #expect(silent.status == 0 && !silent.errors.contains("memory: about "), "\(silent.errors)")
    #expect(try attune("tune", "recipe.yaml", "--no-plan", "--fit").status == 2)
  }
}
