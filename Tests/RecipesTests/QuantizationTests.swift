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

/// Quantization in recipes, the folder that `attune quantize` writes, and merging over it.
@Suite(.serialized) struct QuantizationTests {
  let folder: TemporaryFolder
  let cpu = ModelOptions(dtype: .float32, device: .cpu)

  init() throws { folder = try TemporaryFolder() }

  private func recipe(_ lines: String) throws -> Recipe {
    try Recipe("model: m\n\(lines)\ndata: { train: a.jsonl }\noutput: o")
  }

  @Test func keys() throws {
    let full = try recipe(
      "quantization: { type: fp4, double_quant: false, compute_dtype: bf16, skip_modules: [lm_head, q_proj] }")
    let quantization = try #require(full.train.model.quantization)
    #expect(quantization.kind == .fp4 && !quantization.doubleQuant && quantization.skipModules == ["lm_head", "q_proj"])
    #expect(full.train.model.dtype == .bfloat16)
    let read = try Recipe(full.yaml)
    #expect(read.train.model == full.train.model && read.yaml == full.yaml)
    let short = try recipe("quantization: nf4").train.model.quantization
    #expect(short == Quantization(.nf4) && short?.doubleQuant == true && short?.skipModules == ["lm_head"])
    #expect(try recipe("method: lora").train.model.quantization == nil)
    #expect(try Recipe(recipe("quantization: stored").yaml).train.model.quantization?.kind == .stored)
    // Every method that leaves the base alone works over a packed one.
    for method in ["ia3", "prompt_tuning", "pfeiffer", "trainable_tokens, token_indices: [3]"] {
      #expect(
        try recipe("method: {type: \(method)}\nquantization: nf4").train.model.quantization == Quantization(.nf4), "\(method)")
    }
  }

  @Test(arguments: [
    ("quantization: { type: nf5 }", "nf5"), ("quantization: { double_quant: true }", "type"),
    ("quantization: { type: int8, double_quant: true }", "is for nf4 and fp4"),
    ("quantization: { type: nf4, blocks: 3 }", "blocks"),
    ("quantization: { type: nf4, compute_dtype: f32 }\ntrain: { dtype: bf16 }", "train.dtype"),
    ("method: full\nquantization: nf4", "trains the weights themselves"),
  ])
  func refusals(_ lines: String, _ word: String) throws {
    let error = #expect(throws: RecipeError.self) { try recipe(lines) }
    #expect(error.map { "\($0)".contains(word) } == true, "\(String(describing: error))")
  }

  @Test(arguments: [("llama-tied", Quantization.Kind.nf4), ("gpt2", .fp4), ("llama", .int8)])
  func theFolderReadsBack(_ model: String, _ kind: Quantization.Kind) throws {
    let source = try TinyModels.folder(model, in: folder)
    let output = folder.url.appending(path: "quantized")
    let report = try QuantizedModel(source: source, Quantization(kind), dtype: .float32).write(to: output, options: cpu)
    #expect(report.files.last == "config.json" && report.dense == 1 && report.packed > 0)
    // Double quantization has a map of 1 kB beside each weight, which is more than these are.
    #expect(report.packedBytes > 0 && (kind != .int8 || report.packedBytes * 3 < report.sourceBytes))
    let settings = try ModelFiles(output).config["quantization_config"]
    #expect(settings?["quant_method"]?.string == "bitsandbytes" && settings?["llm_int8_skip_modules"] == ["lm_head"])
    var options = cpu
    options.quantization = Quantization(kind)
    let (direct, written) = (try ModelWeights(source, options: options), try ModelWeights(output, options: cpu))
    let input = try ModelInput(rows: [[3, 9, 27, 81, 50]])
    let logits = try [direct, written].map { weights in try weights.model.inference { try weights.model.logits(input) } }
    #expect(try logits[0].isEqual(to: logits[1]))
    // Neither quantized twice nor read in another format.
    #expect(throws: RecipeError.self) {
      try QuantizedModel(source: output, Quantization(.nf4)).write(to: folder.url.appending(path: "twice"), options: cpu)
    }
    #expect(throws: RecipeError.self) {
      try QuantizedModel(source: source, Quantization(.stored)).write(to: folder.url.appending(path: "stored"), options: cpu)
    }
  }
}
