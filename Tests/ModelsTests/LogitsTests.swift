import Checkpoints
import Foundation
import Models
import NN
import TestSupport
import Testing
import Torch

/// Every architecture against transformers on tiny random models.
@Suite struct LogitsTests {
  static let names = [
    "gpt2", "llama", "llama-tied", "llama-bias", "llama3-rope", "llama-linear-rope", "llama-dynamic-rope", "llama-yarn",
    "mistral",
    "qwen2", "qwen2-window", "qwen3",
  ]

  private func rows(_ tensor: Tensor) throws -> [[Int32]] {
    let width = tensor.shape[1]
    let flat: [Int32] = try tensor.array()
    return stride(from: 0, to: flat.count, by: width).map { Array(flat[$0..<$0 + width]) }
  }

  @Test(arguments: names) func equalTheReference(_ name: String) throws {
    for config in ["config.json", "config.legacy.json"] {
      let model = try TinyModels.load(name, config: config)
      let expected = try Goldens.tensors("models/\(name)/expected.safetensors")
      let logits = try withoutGradients { () throws in
        try model.logits(try ModelInput(rows: try rows(try expected.tensor("input_ids"))))
      }
      #expect(try mismatch(logits, try expected.tensor("logits"), absolute: 1e-4) == nil, "\(config)")
    }
  }

  @Test(arguments: names) func singleRowsEqualTheBatch(_ name: String) throws {
    let model = try TinyModels.load(name)
    let expected = try Goldens.tensors("models/\(name)/expected.safetensors")
    let logits = try expected.tensor("logits")
    for (index, row) in try rows(try expected.tensor("input_ids")).enumerated() {
      let own = try withoutGradients { () throws in try model.logits(try ModelInput(rows: [row])).squeezed(0) }
      #expect(try mismatch(own, try logits.selected(0, index), absolute: 1e-4) == nil)
    }
  }

  @Test(arguments: names.filter { $0 != "llama-dynamic-rope" }) func cachedEqualsUncached(_ name: String) throws {
    let model = try TinyModels.load(name)
    let expected = try Goldens.tensors("models/\(name)/expected.safetensors")
    let all = try rows(try expected.tensor("input_ids"))
    let cache = model.makeCache()
    var parts: [Tensor] = []
    try withoutGradients {
      for piece in [0..<5, 5..<6, 6..<7, 7..<12, 12..<16] {
        parts.append(try model.logits(try ModelInput(rows: all.map { Array($0[piece]) }, cache: cache)))
      }
    }
    let logits = try Tensor.concatenated(parts, 1)
    #expect(try mismatch(logits, try expected.tensor("logits"), absolute: 1e-4) == nil)
  }

  @Test(arguments: names, ["left_padded", "right_padded"])
  func paddedEqualsUnpadded(_ name: String, _ side: String) throws {
    let model = try TinyModels.load(name)
    let expected = try Goldens.tensors("models/\(name)/expected.safetensors")
    let real = try expected.tensor("\(side).attention_mask") .!= 0
    let positions = try expected.tensor("\(side).position_ids")
    let input = ModelInput(
      tokens: try expected.tensor("\(side).input_ids"), positions: positions, length: Int(try positions.max().item()) + 1,
      pattern: .padded(real: real))
    let logits = try withoutGradients { () throws in try model.logits(input) }
    let atReal = try logits.masked(by: try real.not().unsqueezed(-1), fill: 0)
    #expect(try mismatch(atReal, try expected.tensor("\(side).logits"), absolute: 1e-4) == nil)
  }

  @Test(arguments: names.filter { $0 != "llama-dynamic-rope" }) func segmentsOfAFlatRowAreAlone(_ name: String) throws {
    let model = try TinyModels.load(name)
    let expected = try Goldens.tensors("models/\(name)/expected.safetensors")
    let all = try rows(try expected.tensor("input_ids"))
    let samples = [all[0], Array(all[1][0..<1]), Array(all[1][0..<7])]
    let flat = try ModelInput(
      flat: samples.flatMap { $0 }, positions: samples.flatMap { Array(0..<Int32($0.count)) }, segments: samples.map(\.count))
    let logits = try withoutGradients { () throws in try model.logits(flat).squeezed(0) }
    let theirs = try expected.tensor("logits")
    #expect(try mismatch(try logits.narrowed(0, 0..<16), try theirs.selected(0, 0), absolute: 1e-4) == nil)
    #expect(
      try mismatch(try logits.narrowed(0, 17..<24), try theirs.selected(0, 1).narrowed(0, 0..<7), absolute: 1e-4) == nil)
  }

  @Test(arguments: ["gpt2", "llama", "llama-tied", "llama-bias", "mistral", "qwen2", "qwen3"])
  func lossAndGradientsEqualTheReference(_ name: String) throws {
    let model = try TinyModels.load(name)
    let expected = try Goldens.tensors("models/\(name)/expected.safetensors")
    let gradients = try Goldens.tensors("models/\(name)/gradients.safetensors")
    for parameter in model.parameters() { try parameter.value.setRequiresGradient(true) }
    let all = try rows(try expected.tensor("input_ids"))
    let labels = try rows(try expected.tensor("labels"))
    let flat = try ModelInput(
      flat: all.flatMap { $0 }, positions: all.flatMap { Array(0..<Int32($0.count)) }, segments: all.map(\.count))
    var places: [Int64] = []
    var targets: [Int64] = []
    for (row, labels) in labels.enumerated() {
      for index in 1..<labels.count where labels[index] >= 0 {
        places.append(Int64(row * labels.count + index - 1))
        targets.append(Int64(labels[index]))
      }
    }
    let hidden = try model.hidden(flat).squeezed(0).indexed(0, try Tensor(places))
    let sum = try hidden.linearCrossEntropy(
      weight: try model.head.denseWeight(), bias: model.head.denseBias, targets: try Tensor(targets), chunk: 3)
    let loss = try sum / Double(targets.count)
    #expect(try mismatch(loss, try expected.tensor("loss"), absolute: 1e-5) == nil)
    try loss.backward()
    for name in gradients.names {
      let value = try #require(model.parameters().first { $0.path == name }?.value)
      let own = try #require(try value.gradient())
      #expect(try mismatch(own, try gradients.tensor(name), absolute: 2e-5, relative: 1e-4) == nil, "\(name)")
    }
  }

  @Test func filesWithoutTheFirstPartOfTheirKeysLoad() throws {
    let folder = Goldens.url("models/gpt2")
    let configuration = ModelConfiguration(try Goldens.json("models/gpt2/config.json"), path: "config.json")
    let weights = try SafetensorsFile(folder.appending(path: "model.original-keys.safetensors"))
    let model = try ModelLoader.load(configuration, weights: weights, dtype: .float32, device: .cpu)
    let expected = try Goldens.tensors("models/gpt2/expected.safetensors")
    let logits = try withoutGradients { () throws in
      try model.logits(try ModelInput(rows: try rows(try expected.tensor("input_ids"))))
    }
    #expect(try mismatch(logits, try expected.tensor("logits"), absolute: 1e-4) == nil)
  }
}
