import NN
import OrderedCollections
import TestSupport
import Testing
import Torch

@testable import Tuners

@Suite struct LoRATests {
  private let rows: [[Int32]] = [[3, 5, 7, 9, 11, 13], [4, 6, 8, 10, 12, 14]]

  private func logits(_ model: any CausalLM) throws -> Tensor {
    try withoutGradients { () throws in try model.logits(try ModelInput(rows: rows)) }
  }

  @Test(arguments: ["llama-tied", "gpt2", "qwen3"]) func aNewAdapterChangesNothing(_ name: String) throws {
    let model = try TinyModels.load(name)
    let before = try logits(model)
    let adapter = try AdapterSet(model).add(LoRAConfiguration())
    #expect(try mismatch(try logits(model), before, absolute: 0, relative: 0) == nil)
    #expect(adapter.parameterCount > 0)
  }

  @Test func trainsNothingButItself() throws {
    let model = try TinyModels.load("llama-tied")
    let adapter = try AdapterSet(model).add(LoRAConfiguration())
    try adapter.setTrainable(true)
    #expect(Set(model.trainableParameters().map(\.path)).count == adapter.parameters.count)
    #expect(model.trainableParameters().allSatisfy { $0.path.contains("lora_") })
    try model.logits(try ModelInput(rows: rows)).sum().backward()
    for (path, value) in adapter.parameters { #expect(try value.gradient() != nil, "\(path)") }
    for (path, _, value) in model.parameters() where !path.contains("lora_") { #expect(try value.gradient() == nil, "\(path)") }
  }

  @Test func allLinearLeavesTheHeadOut() throws {
    let model = try TinyModels.load("llama")
    let adapter = try AdapterSet(model).add(LoRAConfiguration())
    #expect(adapter.deltas.count == 14)
    #expect(!adapter.deltas.contains { $0.path == "lm_head" })
  }

  @Test func namesThatMatchNothingAreRefusedWithTheNearOnes() throws {
    let model = try TinyModels.load("llama-tied")
    var configuration = LoRAConfiguration()
    configuration.targets = .names(["q_proj", "query_key_value"])
    let set = try AdapterSet(model)
    #expect { try set.add(configuration) } throws: { "\($0)".contains("query_key_value") && "\($0)".contains("v_proj") }
    #expect(!model.projections().contains { $0.slot.value is AdaptedProjection })
    configuration.targets = .pattern("(")
    #expect { try set.add(configuration) } throws: { "\($0)".contains("regular expression") }
  }

  @Test func mergingIsExactlyUndone() throws {
    let model = try TinyModels.load("llama-tied")
    let weights = model.parameters().map { ($0.path, $0.value) }
    let set = try AdapterSet(model)
    let adapter = try set.add(LoRAConfiguration())
    for (_, value) in adapter.parameters { try value.fillInPlace(0.1) }
    try set.mergeAndUnload()
    let after = model.parameters()
    #expect(after.map(\.path) == weights.map(\.0))
    #expect(zip(weights, after).contains { !$0.1.sharesStorage(with: $1.value) })
    for (_, value) in weights { #expect(try value.isFinite().all()) }
  }

  @Test func settingsOutOfRangeAreNamed() {
    for (key, change): (String, @Sendable (inout LoRAConfiguration) -> Void) in [
      ("r must", { $0.r = 0 }), ("alpha", { $0.alpha = -1 }), ("dropout", { $0.dropout = 1 }),
      ("rank_pattern", { $0.rankPattern = ["q_proj": 0] }),
    ] {
      var configuration = LoRAConfiguration()
      change(&configuration)
      #expect { try configuration.validate() } throws: { "\($0)".contains(key) }
    }
  }
}
