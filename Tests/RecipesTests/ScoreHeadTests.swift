import Checkpoints
import Foundation
import Generation
import Models
import NN
import OrderedCollections
import TestSupport
import Testing
import Text
import Torch
import Tuners

/// Heads that score texts, against transformers and PEFT.
@Suite struct ScoreHeadTests {
  private let golden: SafetensorsFile

  init() throws { golden = try SafetensorsFile(Goldens.url("reward/scores.safetensors")) }

  private func rows() throws -> [[Int32]] {
    let lengths = try golden.tensor("lengths", as: .int64).array(Int64.self)
    let ids = try golden.tensor("input_ids", as: .int64)
    return try lengths.enumerated().map { row, length in
      try ids.narrowed(0, row..<row + 1).narrowed(1, 0..<Int(length)).reshaped(-1).array(Int64.self).map { Int32($0) }
    }
  }

  private func expect(_ model: any CausalLM, gives name: String) throws {
    let expected = try golden.tensor("\(name).scores", as: .float32)
    let found = try Scorer(model).rewards(rows())
    #expect(found.count == 3 && found[0].count == expected.shape[1])
    for (value, expected) in zip(found.joined(), try expected.array(Float.self)) {
      #expect(abs(value - expected) <= 1e-4, "\(name): \(value), expected \(expected)")
    }
  }

  @Test(arguments: ["llama", "llama-tied", "gpt2", "mistral", "qwen2", "qwen3"])
  func everyArchitectureScoresAsTheReferenceDoes(_ name: String) throws {
    let model = try TinyModels.load(name)
    let weight = try golden.tensor("\(name).score", as: .float32)
    try model.setScoreHead(ScoreHeadShape(labels: weight.shape[0]))
    model.score?.weight = weight
    try expect(model, gives: name)
    // What predicts tokens is still there.
    #expect(model.predictsTokens && model.parameters().contains { $0.path == "score.weight" })
  }

  @Test func aFolderOfTransformersIsLoaded() throws {
    let folder = Goldens.url("reward/classifier")
    let config = folder.appending(path: "config.json")
    let weights = try SafetensorsFile(folder.appending(path: "model.safetensors"))
    func load(_ change: (inout OrderedDictionary<String, JSON>) -> Void) throws -> any CausalLM {
      var members = try JSONFile.object(at: config).object ?? [:]
      change(&members)
      return try ModelLoader.load(
        ModelConfiguration(.object(members), path: config.path), weights: weights, dtype: .float32, device: .cpu)
    }
    let model = try load { _ in }
    #expect(!model.predictsTokens && model.scoreHeadShape == .reward)
    try expect(model, gives: "classifier")
    #expect(!model.projections().contains { $0.path == "lm_head" })
    #expect { try model.logits(ModelInput(rows: [[1, 2]])) } throws: { "\($0)".contains("no head that predicts tokens") }
    // A head of another size than the settings say, and one that is not there.
    #expect { try load { $0["id2label"] = ["0": "a", "1": "b"] } } throws: { "\($0)".contains("score.weight") }
    #expect { try load { $0["architectures"] = ["LlamaForCausalLM"] } } throws: { "\($0)".contains("score.weight") }
  }

  @Test func anAdapterOfPEFTsBringsItsHead() throws {
    let set = try AdapterSet(try TinyModels.load("llama-tied"))
    let adapter = try AdapterFolder.load(Goldens.url("reward/adapter"), into: set)
    #expect(adapter.hasScoreHead)
    try expect(set.model, gives: "adapter")
    // Written again, it is the same to the bit.
    let folder = try TemporaryFolder()
    try AdapterFolder.save(adapter, base: "llama-tied", to: folder.url)
    let (ours, theirs) = (
      try SafetensorsFile(folder.url.appending(path: "adapter_model.safetensors")),
      try SafetensorsFile(Goldens.url("reward/adapter/adapter_model.safetensors"))
    )
    #expect(Set(ours.names) == Set(theirs.names) && ours.names.contains("base_model.model.score.weight"))
    for name in ours.names {
      #expect(try ours.tensor(name, as: .float32).isEqual(to: theirs.tensor(name, as: .float32)), "\(name)")
    }
    let config = try JSONFile.object(at: folder.url.appending(path: "adapter_config.json"))
    #expect(config["task_type"] == "SEQ_CLS" && config["modules_to_save"] == ["score"])
    // Merged, it scores the same.
    try set.mergeAndUnload()
    try expect(set.model, gives: "adapter")
  }

  @Test func aHeadThatIsNotThereIsNamed() throws {
    let model = try TinyModels.load("llama-tied")
    #expect { try Scorer(model).rewards([[1, 2]]) } throws: { "\($0)".contains("no reward model") }
    #expect { try AdapterSet(model).add(LoRAConfiguration(), scores: true) } throws: { "\($0)".contains("no head that scores") }
    try model.setScoreHead(.reward)
    #expect { try Scorer(model).rewards([[1], []]) } throws: { "\($0)".contains("no tokens") }
    #expect { try AdapterSet(model).add(BottleneckConfiguration(), scores: true) } throws: { "\($0)".contains("AdapterHub") }
    // A damaged folder leaves the model without a head that it did not have.
    let folder = try TemporaryFolder()
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
      try FileManager.default.copyItem(at: Goldens.url("reward/adapter/\(name)"), to: folder.url.appending(path: name))
    }
    let other = try TinyModels.load("gpt2")
    #expect(throws: (any Error).self) { try AdapterFolder.load(folder.url, into: AdapterSet(other)) }
    #expect(other.score == nil)
  }
}
