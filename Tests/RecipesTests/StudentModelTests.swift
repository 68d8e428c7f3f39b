import Checkpoints
import Datasets
import Foundation
import NN
import TestSupport
import Testing
import Text
import Torch

@testable import Recipes

/// Students made of the parts of a model.
@Suite struct StudentModelTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func student(
    of name: String, _ settings: (inout StudentModel) -> Void, samples: [EncodedSample] = []
  ) throws -> (report: StudentModel.Report, url: URL) {
    let source = folder.url.appending(path: name)
    if !FileManager.default.fileExists(atPath: source.path) { _ = try TinyModels.folder(name, in: folder) }
    var model = StudentModel(source: source)
    settings(&model)
    let url = folder.url.appending(path: "student-\(UUID().uuidString)")
    return (try model.write(to: url, samples: samples), url)
  }

  private var samples: [EncodedSample] {
    (0..<5).map { index in
      let ids = (0..<12).map { Int32(($0 * 7 + index * 11) % 90 + 3) }
      return EncodedSample(
        ids: ids, trained: ids.map { _ in true }, location: SourceLocation(file: "none", line: 1), index: index)
    }
  }

  private func logits(_ url: URL) throws -> Tensor {
    let model = try ModelWeights(url, options: ModelOptions(dtype: .float32, device: .cpu)).model
    return try withoutGradients { () throws in try model.logits(ModelInput(rows: [[5, 9, 40, 17, 3, 88]])) }
  }

  @Test(arguments: [
    ("12", 30, [0, 3, 5, 8, 11, 13, 16, 18, 21, 24, 26, 29]), ("1", 4, [0]), ("2", 4, [0, 3]), ("4", 4, [0, 1, 2, 3]),
    ("even", 5, [0, 2, 4]), ("0,2,3", 4, [0, 2, 3]),
  ])
  func layersAreChosen(_ text: String, _ total: Int, _ expected: [Int]) throws {
    #expect(try #require(StudentLayers(parsing: text)).of(total) == expected)
  }

  @Test func layersThatAreNoneAreRefused() throws {
    #expect(StudentLayers(parsing: "twelve") == nil && StudentLayers(parsing: "0,,2") == nil)
    for text in ["5", "0", "0,4", "2,1", "1,1"] {
      let layers = try #require(StudentLayers(parsing: text))
      #expect(throws: RecipeError.self, "\(text)") { try layers.of(4) }
    }
  }

  @Test(arguments: ["llama-tied", "llama", "gpt2", "qwen2-window", "qwen3", "mistral"])
  func allLayersAreTheTeacher(_ name: String) throws {
    let (report, url) = try student(of: name) { $0.layers = .count(2) }
    #expect(report.layers == [0, 1] && report.parameters == report.teacherParameters)
    try assertClose(try logits(url), try logits(folder.url.appending(path: name)), relative: 0, absolute: 1e-6)
  }

  /// The second layer alone has the second layer's numbers, and, in a model whose layers differ, its kind of attention.
  @Test(arguments: ["llama-tied", "gpt2", "qwen2-window"]) func oneLayerIsTheOneAsked(_ name: String) throws {
    let (report, url) = try student(of: name) { $0.layers = .chosen([1]) }
    #expect(report.layers == [1] && report.parameters < report.teacherParameters)
    let source = try Goldens.tensors("models/\(name)/model.safetensors")
    let kept = try SafetensorsFile(url.appending(path: "model.safetensors"))
    let written = kept.names.filter { $0.contains(".0.") }
    #expect(written.count > 8)
    for key in written {
      let expected = try source.tensor(key.replacing(".0.", with: ".1."))
      #expect(try kept.tensor(key).isEqual(to: expected), "\(key)")
    }
    let config = try JSON(parsing: Data(contentsOf: url.appending(path: "config.json")))
    #expect((config["num_hidden_layers"] ?? config["n_layer"])?.int == 1)
    if name == "qwen2-window" { #expect(config["layer_types"]?.array == [.string("sliding_attention")]) }
    _ = try logits(url)
  }

  /// What adds nothing goes first: a model in which some units and one group of heads put nothing into the stream loses nothing with them.
  @Test(arguments: ["llama-bias", "qwen3"]) func whatAddsNothingGoes(_ name: String) throws {
    let source = try TinyModels.folder(name, in: folder)
    let teacher = try ModelWeights(source, options: ModelOptions(dtype: .float32, device: .cpu))
    let width = teacher.model.shape.headSize * 2
    for (path, slot, value) in teacher.model.parameters() {
      let number = try value.clone()
      if path.hasSuffix("o_proj.weight") { try number.narrowed(1, 0..<width).fillInPlace(0) }
      if path.hasSuffix("down_proj.weight") {
        for unit in stride(from: 0, to: number.shape[1] - 32, by: 1) { try number.narrowed(1, unit..<unit + 1).fillInPlace(0) }
      }
      slot.value = number
    }
    try FileManager.default.removeItem(at: source.appending(path: "model.safetensors"))
    let kept = teacher.model.parameters().filter { !(teacher.model.isTied && $0.path == "lm_head.weight") }
    try Safetensors.write(kept.map { ($0.path, $0.value) }, to: source.appending(path: "model.safetensors"))
    let (report, url) = try student(of: name, { ($0.keyValueHeads, $0.feedForwardShare) = (1, 0.6) }, samples: samples)
    #expect(report.keyValueHeads == 1 && report.heads == 2 && report.units == 32)
    try assertClose(try logits(url), try logits(source), relative: 1e-5, absolute: 1e-5)
  }

  @Test func partsThatAreNoneAreRefused() throws {
    func refused(_ name: String, _ expected: String, _ settings: (inout StudentModel) -> Void) throws {
      #expect { try student(of: name, settings, samples: samples) } throws: { "\($0)".contains(expected) }
    }
    try refused("llama", "--kv-heads") { $0.keyValueHeads = 3 }
    try refused("llama", "--ffn-share") { $0.feedForwardShare = 1.5 }
    try refused("gpt2", "Llama family") { $0.keyValueHeads = 2 }
    #expect { try student(of: "llama", { $0.keyValueHeads = 1 }) } throws: { "\($0)".contains("--data") }
  }
}
