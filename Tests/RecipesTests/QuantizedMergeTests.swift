import Checkpoints
import Foundation
import Generation
import NN
import TestSupport
import Testing
import Text
import Torch
import Tuners

@testable import Recipes

/// Merging adapters that were trained over quantized weights.
@Suite(.serialized) struct QuantizedMergeTests {
  let folder: TemporaryFolder
  let source: URL
  let output: URL
  let cpu = ModelOptions(dtype: .float32, device: .cpu)

  init() throws {
    folder = try TemporaryFolder()
    source = try TinyModels.folder("llama-tied", in: folder)
    output = folder.url.appending(path: "merged")
  }

  /// PEFT's adapter, with a note that it was trained over `model` in a form.
  private func adapter(_ model: URL, _ quantization: Quantization?) throws -> String {
    let url = folder.url.appending(path: UUID().uuidString)
    try FileManager.default.copyItem(at: Goldens.url("adapters/lora"), to: url)
    var options = cpu
    options.quantization = quantization
    try AdapterRecord(base: ModelWeights(model, options: options).recordBase()).write(to: url)
    return url.path
  }

  private func logits(_ weights: ModelWeights, _ row: [Int32] = [3, 9, 27, 81, 50]) throws -> Tensor {
    try weights.model.inference { try weights.model.logits(ModelInput(rows: [row])) }
  }

  /// The weights of `source`, expanded from a form, with the adapter merged in float32.
  private func expected(_ adapter: String, _ quantization: Quantization?) throws -> ModelWeights {
    var options = cpu
    options.quantization = quantization
    let weights = try ModelWeights(source, options: options)
    try weights.model.expandProjections()
    try weights.load(adapters: [adapter], anyBase: true)
    try weights.adapters.mergeAndUnload()
    return weights
  }

  @Test func bothBasesAreMeasuredAndTheCloserIsKept() throws {
    let adapter = try adapter(source, Quantization(.nf4))
    let merge = MergedModel(source: source, adapters: [adapter], dtype: .float32)
    let report = try merge.write(to: output, options: cpu)
    #expect(Set(report.trials.map(\.base)) == [.dequantized, .original])
    // Expanded, the numbers are those that the adapter saw: nothing but the order of sums differs.
    #expect(report.trials[0].base == .dequantized && abs(report.trials[0].divergence) < 1e-6)
    #expect(report.trials[1].divergence > 1e-6 && report.trials[1].divergence > report.trials[0].divergence)
    #expect(report.trials[0].sameBest == 1 && report.check.maxDifference < 1e-3)
    #expect(report.text?.contains("built-in text") == true || report.text?.contains("made-up") == true)
    let merged = try ModelWeights(output, options: cpu)
    #expect(!merged.model.projections().contains { $0.slot.value is QuantizedLinear })
    #expect(try mismatch(logits(merged), logits(expected(adapter, Quantization(.nf4))), absolute: 1e-5) == nil)
    #expect(try ModelFiles(output).config["quantization_config"] == nil)
  }

  @Test func aBaseCanBeAskedFor() throws {
    let adapter = try adapter(source, Quantization(.fp4))
    var merge = MergedModel(source: source, adapters: [adapter], dtype: .float32)
    merge.base = .original
    let report = try merge.write(to: output, options: cpu)
    #expect(report.trials.map(\.base) == [.original, .dequantized])
    #expect(try mismatch(logits(ModelWeights(output, options: cpu)), logits(expected(adapter, nil)), absolute: 1e-5) == nil)
    // One that was trained over dense weights has one base.
    merge = MergedModel(source: source, adapters: [try self.adapter(source, nil)], dtype: .float32)
    #expect(try merge.write(to: output, replacing: true, options: cpu).trials.isEmpty)
    merge.base = .original
    #expect(throws: RecipeError.self) { try merge.write(to: output, replacing: true, options: cpu) }
  }

  @Test func theOriginalOfAQuantizedFolderIsFound() throws {
    let packed = folder.url.appending(path: "nf4")
    _ = try QuantizedModel(source: source, Quantization(.nf4), dtype: .float32).write(to: packed, options: cpu)
    let adapter = try adapter(packed, nil)
    let merge = MergedModel(source: packed, adapters: [adapter], dtype: .float32)
    let report = try merge.write(to: output, options: cpu)
    #expect(report.trials.count == 2 && report.notes.isEmpty, "\(report.notes)")
    // A model that was moved away is not there to merge into.
    let moved = folder.url.appending(path: "moved")
    try FileManager.default.moveItem(at: source, to: moved)
    var without = merge
    let second = try without.write(to: output, replacing: true, options: cpu)
    #expect(second.trials.map(\.base) == [.dequantized] && second.notes.contains { $0.contains("--original") })
    without.base = .original
    #expect(throws: RecipeError.self) { try without.write(to: output, replacing: true, options: cpu) }
    without.original = moved
    #expect(try without.write(to: output, replacing: true, options: cpu).trials[0].base == .original)
    without.original = packed
    let error = #expect(throws: RecipeError.self) { try without.write(to: output, replacing: true, options: cpu) }
    #expect(error.map { "\($0)".contains("is quantized itself") } == true)
  }

  @Test func anAdapterThatSaysNothingIsToldItsBase() throws {
    var merge = MergedModel(source: source, adapters: [Goldens.url("adapters/lora").path], dtype: .float32)
    #expect(try merge.write(to: output, options: cpu).trials.isEmpty)
    merge.trainedOver = BaseQuantization("int8", skipModules: ["lm_head"])
    #expect(try merge.write(to: output, replacing: true, options: cpu).trials.count == 2)
  }

  @Test func quantizingAgainSaysWhatItCosts() throws {
    let adapter = try adapter(source, Quantization(.nf4))
    var merge = MergedModel(source: source, adapters: [adapter], dtype: .float32)
    merge.requantization = Quantization(.nf4)
    let report = try merge.write(to: output, options: cpu)
    let loss = try #require(report.requantization)
    #expect(loss.divergence > loss.mergedDivergence && loss.quantization.description == "nf4, double")
    #expect(loss.mergedDivergence == report.trials[0].divergence)
    let written = try ModelWeights(output, options: cpu)
    #expect(written.model.projections().contains { $0.slot.value is QuantizedLinear })
    let packed = try expected(adapter, Quantization(.nf4))
    try packed.model.quantizeProjections(as: .nf4) { $0 != "lm_head" }
    #expect(try mismatch(logits(written), logits(packed), absolute: 1e-5) == nil)
  }

  /// Two hand-made rows: p = (1/2, 1/2) against q = (1/4, 3/4) is ½·ln 2 + ½·ln ⅔ = 0.143841 nats.
  @Test func theDivergenceIsThatOfADefinition() throws {
    let weights = try ModelWeights(source, options: cpu)
    let text = try MergeText(nil, model: source, shape: weights.model.shape)
    let scores = try text.scores(weights.model)
    #expect(try text.distance(of: weights.model, from: scores) == MergeText.Distance(divergence: 0, sameBest: 1))
    let half = try Tensor([Float(0.5), 0.5, 0.25, 0.75], shape: [2, 2]).log()
    let value = try MergeText.divergence(half.narrowed(0, 0..<1), half.narrowed(0, 1..<2))
    #expect(abs(value - 0.143841) < 1e-6)
    #expect(throws: RecipeError.self) {
      try MergeText(folder.url.appending(path: "none.txt"), model: source, shape: weights.model.shape)
    }
  }

  /// A model in bfloat16 is merged without a dense copy: the same numbers as in memory.
  @Test(arguments: [("llama-bias", "lora-bias-all"), ("llama", "lora-modules-to-save"), ("gpt2", "lora-gpt2-all")])
  func bfloat16IsMergedFromItsFile(_ model: String, _ adapter: String) throws {
    let dense = try TinyModels.folder(model, in: folder)
    let half = folder.url.appending(path: "half")
    _ = try MergedModel(source: dense, adapters: [], dtype: .bfloat16).write(to: half, options: cpu)
    let path = Goldens.url("adapters/\(adapter)").path
    let report = try MergedModel(source: half, adapters: [path]).write(to: output, options: cpu)
    #expect(report.dtype == .bfloat16)
    let weights = try ModelWeights(half, options: cpu)
    try weights.load(adapters: [path], anyBase: true)
    try weights.adapters.mergeAndUnload()
    let written = try ModelFiles(output).weights
    for (name, _, value) in weights.model.parameters() where written.info(name) != nil {
      #expect(try written.tensor(name).isEqual(to: value.to(.bfloat16)), "\(name)")
    }
  }
}
