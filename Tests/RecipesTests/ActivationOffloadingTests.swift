import Foundation
import TestSupport
import Testing
import Torch
import Training

@testable import Recipes

/// `train.activation_offloading`: what checkpointed layers keep lies in a file of the run's folder.
@Suite struct ActivationOffloadingTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func recipe(_ train: String, output: String = "o") throws -> Recipe {
    let base = folder.url.appending(path: "llama-tied")
    let row = #"{"prompt": "a b", "completion": "c d"}"# + "\n"
    let data = try folder.write(String(repeating: row, count: 4), to: "data.jsonl")
    return try Recipe(
      """
      model: \(base.path)
      method: {type: lora, dropout: 0.1}
      data: {train: \(data)}
      train: {max_steps: 3, batch_size: 2, learning_rate: 1e-2, dtype: f32, device: cpu, log_every: 1, \(train)}
      output: \(folder.path(output))
      """)
  }

  @Test func theNumbersOfARunAreTheSame() throws {
    _ = try TinyModels.folder("llama-tied", in: folder)
    var adapters: [Data] = []
    var losses: [[Double?]] = []
    for (name, train) in [("memory", ""), ("file", ", activation_offloading: true")] {
      let recipe = try recipe("gradient_checkpointing: full\(train)", output: name)
      #expect(try Recipe(recipe.yaml).train.options.activationOffloading == !train.isEmpty)
      let result = try TuneRun(recipe).run()
      losses.append(result.training.rows.map(\.loss))
      adapters.append(try Data(contentsOf: result.folder.appending(path: "adapter_model.safetensors")))
      let left = try FileManager.default.contentsOfDirectory(atPath: folder.path(name))
      #expect(!left.contains { $0.contains("scratch") }, "\(left)")
    }
    #expect(losses[0] == losses[1] && adapters[0] == adapters[1] && losses[0].count == 3)
  }

  @Test func itIsForCheckpointedLayers() throws {
    #expect { try recipe("activation_offloading: true") } throws: { "\($0)".contains("gradient_checkpointing") }
    #expect(try !recipe("gradient_checkpointing: full").train.options.activationOffloading)
  }
}
