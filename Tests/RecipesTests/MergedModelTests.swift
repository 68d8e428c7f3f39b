import Checkpoints
import Foundation
import Generation
import NN
import TestSupport
import Testing
import Text
import Torch

@testable import Recipes

@Suite(.serialized) struct MergedModelTests {
  let folder: TemporaryFolder
  let cpu = ModelOptions(dtype: .float32, device: .cpu)

  init() throws { folder = try TemporaryFolder() }

  /// Adapters of every kind, on the model they were made for.
  static let adapters = [
    ("llama-tied", "lora"), ("llama-tied", "lora-all-linear-rslora"), ("llama-tied", "lora-patterns"),
    ("llama-bias", "lora-bias-all"),
    ("llama", "lora-modules-to-save"), ("gpt2", "lora-gpt2"), ("gpt2", "lora-gpt2-all"),
  ]

  @Test(arguments: adapters)
  func theFolderWrittenHasTheReferencesLogits(_ model: String, _ adapter: String) throws {
    let source = try TinyModels.folder(model, in: folder)
    let output = folder.url.appending(path: "merged")
    let report = try MergedModel(source: source, adapters: [Goldens.url("adapters/\(adapter)").path]).write(
      to: output, options: cpu)
    #expect(report.dtype == .float32)
    #expect(report.files.last == "config.json")
    let expected = try Goldens.tensors("adapters/\(adapter)/expected.safetensors")
    let ids = try expected.tensor("input_ids").array(Int64.self).map(Int32.init)
    let weights = try ModelWeights(output, options: cpu)
    let input = try ModelInput(rows: [Array(ids.prefix(ids.count / 2)), Array(ids.suffix(ids.count / 2))])
    let logits = try weights.model.inference { try weights.model.logits(input) }
    #expect(try mismatch(logits, expected.tensor("merged_logits"), absolute: 1e-4) == nil)
  }

  @Test func aGGUFFileBecomesAFolderWithItsTokenizer() throws {
    let source = Goldens.url("gguf/llama-tied-q8_0.gguf")
    let output = folder.url.appending(path: "converted")
    let report = try MergedModel(source: source, adapters: [], dtype: .float32).write(to: output, options: cpu)
    #expect(report.check.maxDifference == 0)
    #expect(report.notes.isEmpty, "\(report.notes)")
    let (own, written) = (try TextSide(source), try TextSide(output))
    for text in ["a b ab", "the sea", ""] {
      #expect(own.tokenizer.encode(text, addSpecialTokens: true) == written.tokenizer.encode(text, addSpecialTokens: true))
    }
    #expect(own.templates.sources == written.templates.sources)
    #expect(own.tokenizer.special == written.tokenizer.special)
    // Quantized weights are written in bfloat16 where nothing is asked for.
    #expect(MergedModel.storedDType(try ModelFiles(source).weights) == .bfloat16)
  }

  @Test func anInterruptedFolderIsNoModel() throws {
    let source = try TinyModels.folder("llama-tied", in: folder)
    let output = folder.url.appending(path: "merged")
    _ = try MergedModel(source: source, adapters: []).write(to: output, options: cpu)
    // config.json comes last; without it nothing loads.
    try FileManager.default.removeItem(at: output.appending(path: "config.json"))
    #expect(throws: CheckpointError.self) { try ModelWeights(output, options: cpu) }
    _ = try MergedModel(source: source, adapters: []).write(to: output, replacing: true, options: cpu)
    #expect(try ModelWeights(output, options: cpu).model.shape.layerCount == 2)
  }
}
