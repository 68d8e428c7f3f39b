import Datasets
import Foundation
import Objectives
import TestSupport
import Testing
import Training

@testable import Recipes

/// What runs measure against: kept from run to run, and other models.
@Suite struct ReferenceTests {
  let folder: TemporaryFolder
  let store: ModelStore

  init() throws {
    folder = try TemporaryFolder()
    store = ModelStore(folder: folder.url.appending(path: "store"))
    for name in ["llama-tied", "llama", "gpt2"] { _ = try TinyModels.folder(name, in: folder) }
  }

  private func recipe(
    _ objective: String, method: String = "lora", prompt: String = "a b", rows: String? = nil, data more: String = ""
  ) throws -> Recipe {
    let pairs = (0..<6).map { #"{"prompt": "\#(prompt) \#($0)", "chosen": " c d", "rejected": " x"}"# }
    let data = try folder.write(rows ?? pairs.joined(separator: "\n"), to: "data-\(UUID().uuidString).jsonl")
    return try Recipe(
      """
      model: \(folder.path("llama-tied"))
      method: \(method)
      objective: \(objective)
      data: {train: \(data), eval_split: 0.2\(more)}
      train: {max_steps: 4, batch_size: 2, learning_rate: 1e-2, dtype: f32, device: cpu, log_every: 1}
      output: \(folder.path("run-\(UUID().uuidString)"))
      """)
  }

  /// The losses, and the note on where the reference came from.
  private func run(_ recipe: Recipe) throws -> (losses: [Double], note: String, result: TuneResult) {
    let result = try TuneRun(recipe, store: store).run()
    let note = result.plan.dataNotes.first { $0.hasPrefix("reference: ") } ?? ""
    return (result.training.rows.compactMap(\.loss), note, result)
  }

  @Test(arguments: ["dpo", "kto"]) func aReferenceIsMeasuredOnce(_ objective: String) throws {
    let first = try run(try recipe(objective))
    #expect(first.note.contains("measured") && first.note.contains("kept"))
    let again = try run(try recipe(objective))
    #expect(again.note.contains("from the cache") && again.losses == first.losses)
    // Damaged, it is measured anew; without a cache nothing is kept.
    let file = try #require(again.note.split(separator: " ").last)
    var bytes = try Data(contentsOf: URL(filePath: String(file)))
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: URL(filePath: String(file)))
    let anew = try run(try recipe(objective))
    #expect(anew.note.contains("kept") && anew.losses == first.losses)
    let off = try run(try recipe(objective, data: ", cache: false"))
    #expect(!off.note.contains("cache") && off.losses == first.losses)
  }

  /// Other tokens, adapters, and ways to keep the weights are other references.
  @Test func whatItDependsOnIsInTheKey() throws {
    let first = try run(try recipe("dpo"))
    let folder = first.result.folder.path
    for other in [
      try recipe("dpo", prompt: "a c"), try recipe("dpo", method: "{type: lora, init_from: \(folder)}"),
      try recipe("dpo", method: "{type: lora, stack_on: \(folder)}"), try recipe("dpo", method: "full"),
    ] {
      #expect(try run(other).note.contains("measured"), "\(other.yaml)")
    }
    // The base with that adapter was measured for the run that stands on it.
    let named = "{type: dpo, reference_model: \(self.folder.path("llama-tied")), reference_adapter: \(folder)}"
    #expect(try run(try recipe(named)).note.contains("from the cache"))
    // What is new of the run itself is not in it.
    #expect(try run(try recipe("{type: dpo, beta: 0.3}", method: "ia3")).note.contains("from the cache"))
  }

  @Test func anotherModelIsMeasuredAgainst() throws {
    let own = try run(try recipe("dpo"))
    #expect(abs(own.losses[0] - 0.693147) < 1e-4)
    // Against itself by name it is the same; against another model it is not.
    let named = try run(try recipe("{type: dpo, reference_model: \(folder.path("llama-tied"))}"))
    #expect(named.losses == own.losses)
    let other = try run(try recipe("{type: dpo, reference_model: \(folder.path("gpt2"))}"))
    #expect(abs(other.losses[0] - 0.693147) > 1e-3 && other.note.contains("gpt2"))
    let recipe = try recipe("{type: kto, reference_model: \(folder.path("llama"))}")
    #expect(try Recipe(recipe.yaml).objective.referenceModel == folder.path("llama"))
    #expect(try run(recipe).losses[0] != 0.5)
  }

  @Test(arguments: [
    ("{type: dpo, reference_model: nowhere}", "objective.reference_model"),
    ("{type: dpo, reference_adapter: x}", "needs reference_model"),
    ("{type: simpo, reference_model: x}", "reference_model"),
  ])
  func whatDoesNotFitIsRefused(_ objective: String, _ expected: String) throws {
    #expect { try TuneRun(try recipe(objective), store: store).check(resuming: false, overwriting: false) } throws: {
      "\($0)".contains(expected)
    }
  }

  @Test func rankingsAreLearntAndPairsTakenApart() throws {
    let list = (0..<4).map { #"{"prompt": "a b \#($0)", "responses": [" c d", " c", " x"]}"# }.joined(separator: "\n")
    let ranked = try run(try recipe("dpo", rows: list))
    #expect(ranked.losses.count == 4 && abs(ranked.losses[0] - 0.693147) < 1e-4)
    #expect(try #require(ranked.losses.last) < ranked.losses[0])
    let kto = try run(try recipe("kto"))
    #expect(abs(kto.losses[0] - 0.5) < 1e-5)
    for kind in ["rewards/chosen", "rewards/rejected"] {
      #expect(kto.result.training.rows.contains { $0.figures?[kind] != nil }, "\(kind)")
    }
    #expect { try run(try recipe("kto", rows: list)) } throws: { "\($0)".contains("pairs of them") }
  }
}
