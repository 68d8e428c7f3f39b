import Checkpoints
import Foundation
import Models
import NN
import TestSupport
import Testing
import Text
import Torch

/// Models with packed projections: transformers' folders, GGUF files as they are, and quantization on the way in.
@Suite struct QuantizedModelTests {
  private func rows(_ tensor: Tensor) throws -> [[Int32]] {
    let width = tensor.shape[1]
    let flat: [Int32] = try tensor.array()
    return stride(from: 0, to: flat.count, by: width).map { Array(flat[$0..<$0 + width]) }
  }

  private func load(
    _ url: URL, dtype: DType = .float32, packing: ProjectionPacking? = nil, device: Device = .cpu
  ) throws -> any CausalLM {
    let files = try ModelFiles(url)
    return try ModelLoader.load(
      ModelConfiguration(files.config, path: files.path), weights: files.weights, dtype: dtype, device: device, packing: packing)
  }

  private func packedCount(_ model: any CausalLM) -> Int {
    model.projections().count { $0.slot.value is QuantizedLinear }
  }

  private func logits(_ model: any CausalLM, _ ids: [[Int32]]) throws -> Tensor {
    try withoutGradients { () throws in try model.logits(try ModelInput(rows: ids)).to(.float32) }
  }

  @Test(arguments: ["llama-tied-nf4", "llama-bias-fp4", "gpt2-nf4", "qwen2-int8"]) func theirFolders(name: String) throws {
    let url = Goldens.url("quantization/models/\(name)")
    let model = try load(url)
    let expected = try Goldens.tensors("quantization/models/\(name)/expected.safetensors")
    #expect(packedCount(model) == model.projections().count - 1, "all but the head")
    let ids = try rows(try expected.tensor("input_ids"))
    #expect(try mismatch(try logits(model, ids), try expected.tensor("logits"), absolute: 1e-4) == nil)
    // The same out of bfloat16, up to its rounding.
    let narrow = try logits(try load(url, dtype: .bfloat16), ids)
    let largest = try expected.tensor("logits").abs().max().item()
    #expect(try mismatch(narrow, try expected.tensor("logits"), absolute: largest / 16) == nil)
  }

  @Test func quantizedOnTheWayInIsTheirFolder() throws {
    let expected = try Goldens.tensors("quantization/models/llama-tied-nf4/expected.safetensors")
    let ids = try rows(try expected.tensor("input_ids"))
    let model = try TinyModels.load("llama-tied", packing: ProjectionPacking(.nf4))
    #expect(try mismatch(try logits(model, ids), try expected.tensor("logits"), absolute: 1e-4) == nil)
    let (total, _) = model.parameterCount()
    #expect(total == (try TinyModels.load("llama-tied")).parameterCount().total, "packed numbers count")
  }

  @Test func gguffilesAsTheyAre() throws {
    for name in ["llama-q8_0", "llama-tied-q8_0"] {
      let url = Goldens.url("gguf/\(name).gguf")
      let (dense, stored) = (try load(url), try load(url, packing: ProjectionPacking(nil, skipped: [])))
      #expect(packedCount(dense) == 0 && packedCount(stored) > 8)
      let ids: [[Int32]] = [[3, 9, 27, 81, 50], [4, 8, 16, 32, 64]]
      #expect(try mismatch(try logits(stored, ids), try logits(dense, ids), absolute: 1e-5) == nil)
    }
  }

  @Test func modulesThatStayDense() throws {
    let packing = ProjectionPacking(.fp4, skipped: ["lm_head", "q_proj", "model.layers.1"])
    let model = try TinyModels.load("llama", packing: packing)
    let dense = Set(model.projections().filter { $0.slot.value is Linear }.map(\.path))
    #expect(dense.contains("lm_head") && dense.contains("model.layers.0.self_attn.q_proj"))
    #expect(dense.contains("model.layers.1.mlp.up_proj") && !dense.contains("model.layers.0.mlp.up_proj"))
    // A tied head is packed beside the table where nobody says that it stays dense.
    let tied = try TinyModels.load("llama-tied", packing: ProjectionPacking(.int8, skipped: []))
    #expect(tied.head is QuantizedLinear)
  }

  @Test func refusals() throws {
    let url = Goldens.url("quantization/models/llama-tied-nf4")
    let twice = #expect(throws: ModelError.self) { try load(url, packing: ProjectionPacking(.nf4)) }
    #expect(twice.map { "\($0)".contains("is quantized already") } == true)
    let folder = try TemporaryFolder()
    let source = try TinyModels.folder("llama-tied", in: folder)
    let file = try SafetensorsFile(source.appending(path: "model.safetensors"))
    let name = "model.layers.1.mlp.up_proj.weight"
    let tensors = try file.names.map { ($0, $0 == name ? try file.tensor($0) * Double.nan : try file.tensor($0)) }
    try Safetensors.write(tensors, to: source.appending(path: "model.safetensors"))
    let nan = #expect(throws: ModelError.self) { try load(source, packing: ProjectionPacking(.nf4)) }
    #expect(nan.map { "\($0)".contains("tensor “\(name)” cannot be quantized") && "\($0)".contains("not finite") } == true)
  }
}
