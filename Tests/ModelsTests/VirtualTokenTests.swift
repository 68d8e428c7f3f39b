import NN
import TestSupport
import Testing
import Torch

/// Virtual tokens that are what real tokens would be give what those tokens in front would.
@Suite struct VirtualTokenTests {
  static let models = ["gpt2", "llama-tied", "mistral", "qwen2", "qwen3"]
  private let front: [Int32] = [7, 40, 11, 5, 23]
  private let rows: [[Int32]] = [[9, 8, 30, 31, 12, 77, 5, 6], [4], [60, 61, 62]]

  /// What stands before the rows: the first `prefix` of `front` as keys and values, the rest as rows.
  private func install(_ prefix: Int, in model: any CausalLM, learns: Bool = false) throws {
    try withoutGradients {
      if prefix > 0 {
        let cache = model.makeCache()
        _ = try model.hidden(try ModelInput(rows: [Array(front.prefix(prefix))], cache: cache))
        model.prompts.install(GivenPrefix(try cache.contents(ofRow: 0), learns: learns), named: "prefix")
      }
      if prefix < front.count {
        let ids = try Tensor(front.dropFirst(prefix).map(Int64.init))
        model.prompts.install(GivenRows(try model.embedding.forward(ids).clone(), learns: learns), named: "rows")
      }
    }
    if learns { for (_, _, value) in model.prompts.parameters() { try value.setRequiresGradient(true) } }
    activate(model, true)
  }

  private func activate(_ model: any CausalLM, _ on: Bool) {
    for (name, _) in model.prompts.installed { model.prompts.activate(name, on) }
  }

  /// What comes out for a row of tokens [n, d], computed alone and without virtual tokens.
  private func expected(_ row: [Int32], _ model: any CausalLM) throws -> Tensor {
    try withoutGradients {
      let hidden = try model.hidden(try ModelInput(rows: [front + row])).squeezed(0)
      return try hidden.narrowed(0, front.count..<front.count + row.count)
    }
  }

  private func flat(_ rows: [[Int32]], cache: KVCache? = nil, filledTo multiple: Int = 1) throws -> ModelInput {
    try ModelInput(
      flat: rows.flatMap { $0 }, positions: rows.flatMap { 0..<Int32($0.count) }, segments: rows.map(\.count), cache: cache,
      filledTo: multiple)
  }

  @Test(arguments: models, [0, 2, 5]) func standInFrontOfEachRow(name: String, prefix: Int) throws {
    let model = try TinyModels.load(name)
    let wanted = try rows.map { try expected($0, model) }
    let base = try withoutGradients { () throws in try model.hidden(try flat(rows)) }
    try install(prefix, in: model)
    #expect(model.prompts.count == 5 && model.tokenLimit == model.shape.contextLength - 5)
    try withoutGradients {
      for multiple in [1, 16] {
        let hidden = try model.hidden(try flat(rows, filledTo: multiple)).squeezed(0)
        var start = 0
        for (row, wanted) in zip(rows, wanted) {
          try assertClose(try hidden.narrowed(0, start..<start + row.count), wanted, relative: 1e-4, absolute: 2e-5)
          start += row.count
        }
      }
      let pair = try model.hidden(try ModelInput(rows: [rows[0], rows[0]]))
      for index in 0..<2 { try assertClose(try pair.selected(0, index), wanted[0], relative: 1e-4, absolute: 2e-5) }
      activate(model, false)
      #expect(try model.hidden(try flat(rows)).isEqual(to: base), "without virtual tokens the model is what it was")
    }
  }

  /// Rows begin in a cache with virtual tokens, laid end to end or together, and go on without them.
  @Test(arguments: models, [0, 2, 5]) func rowsOfACacheBeginWithThem(name: String, prefix: Int) throws {
    let model = try TinyModels.load(name)
    let wanted = try rows.map { try expected($0 + [17, 18], model) }
    try install(prefix, in: model)
    try withoutGradients {
      let cache = model.makeCache()
      _ = try model.hidden(try flat(rows, cache: cache))
      #expect(cache.lengths == rows.map { $0.count + 5 })
      let next = try model.hidden(try ModelInput(rows: rows.map { _ in [17, 18] }, cache: cache))
      for (index, wanted) in wanted.enumerated() {
        let count = rows[index].count
        try assertClose(try next.selected(0, index), try wanted.narrowed(0, count..<count + 2), relative: 1e-4, absolute: 2e-5)
      }
      let whole = model.makeCache()
      _ = try model.hidden(try ModelInput(rows: [rows[0], rows[0]], cache: whole))
      #expect(whole.lengths == [13, 13])
      let more = try model.hidden(try ModelInput(rows: [[17, 18], [17, 18]], cache: whole))
      try assertClose(try more.selected(0, 1), try wanted[0].narrowed(0, 8..<10), relative: 1e-4, absolute: 2e-5)
    }
  }

  /// Losses and gradients do not depend on what is computed again, to the bit.
  @Test(arguments: models, [0, 2, 5]) func checkpointing(name: String, prefix: Int) throws {
    func pass(_ mode: GradientCheckpointing) throws -> [Tensor] {
      let model = try TinyModels.load(name)
      try model.freeze()
      try install(prefix, in: model, learns: true)
      model.gradientCheckpointing = mode
      let hidden = try model.hidden(try flat(rows, filledTo: 16)).squeezed(0)
      let targets = try Tensor((0..<16).map { Int64($0 * 5 % 90) })
      let loss = try hidden.linearCrossEntropy(weight: try model.head.denseWeight(), targets: targets)
      try loss.backward()
      let gradients = try model.prompts.parameters().map { try #require(try $0.value.gradient()) }
      #expect(gradients.count == (prefix > 0 ? 2 * model.shape.layerCount : 0) + (prefix < 5 ? 1 : 0))
      for gradient in gradients { #expect(try gradient.abs().max().item() > 0) }
      return [try loss.detached()] + gradients
    }
    let plain = try pass(.none)
    for mode in [GradientCheckpointing.selective, .full] {
      for (actual, expected) in zip(try pass(mode), plain) { #expect(try actual.isEqual(to: expected), "\(mode)") }
    }
  }

  @Test(arguments: [0, 5]) func bfloat16(prefix: Int) throws {
    let model = try TinyModels.load("llama-tied", dtype: .bfloat16)
    let wanted = try expected(rows[0], model)
    try install(prefix, in: model)
    let hidden = try withoutGradients { () throws in try model.hidden(try flat(rows)).squeezed(0).narrowed(0, 0..<8) }
    #expect(hidden.dtype == .bfloat16)
    try assertClose(hidden, wanted, relative: 0.05, absolute: 0.05)
  }

  @Test func whatDoesNotFit() throws {
    let model = try TinyModels.load("gpt2")
    try install(2, in: model)
    let tokens = try Tensor([1, 2, 3, 4] as [Int64], shape: [2, 2])
    let real = try Tensor.ones([2, 2], dtype: .bool)
    let padded = ModelInput(
      tokens: tokens, positions: try .zeros([2, 2], dtype: .int64), length: 2, pattern: .padded(real: real))
    #expect { try model.hidden(padded) } throws: { "\($0)".contains("padded") }
    #expect { try model.hidden(try ModelInput(rows: [[Int32](repeating: 3, count: 28)])) } throws: {
      "\($0)".contains("33 tokens")
    }
    var input = try flat(rows)
    input.tasks = [0]
    #expect { try model.hidden(input) } throws: { "\($0)".contains("1 tasks for 3 rows") }
    model.prompts.install(GivenPrefix([], learns: false), named: "none")
    model.prompts.activate("none", true)
    #expect { try model.hidden(try flat(rows)) } throws: { "\($0)".contains("0 of 2 layers") }
  }
}

private final class GivenRows: Module, SoftPrompt {
  @Param("rows") private var table: Tensor

  init(_ table: Tensor, learns: Bool) {
    super.init()
    self.table = table
  }

  var count: Int { table.shape[0] }

  func virtualTokens(rows: Int, tasks: [Int]) throws(TorchError) -> VirtualTokens {
    .rows(try table.unsqueezed(0).expanded(rows, table.shape[0], table.shape[1]))
  }
}

/// Where it learns, the keys and values come out of a computation, as those of an encoder do.
private final class GivenPrefix: Module, SoftPrompt {
  @Children("layers") private var layers: [GivenLayer]
  private let learns: Bool

  init(_ contents: [KeyValueRows], learns: Bool) {
    self.learns = learns
    super.init()
    layers = contents.map(GivenLayer.init)
  }

  var count: Int { layers.first?.keys.shape[0] ?? 0 }

  func virtualTokens(rows: Int, tasks: [Int]) throws(TorchError) -> VirtualTokens {
    .keysAndValues(
      try layers.map { layer throws(TorchError) in
        learns
          ? KeyValueRows(keys: try (try layer.keys * 0.5).tanh() * 2, values: try layer.values * 0.5)
          : KeyValueRows(keys: layer.keys, values: layer.values)
      })
  }
}

private final class GivenLayer: Module {
  @Param("keys") var keys: Tensor
  @Param("values") var values: Tensor

  init(_ rows: KeyValueRows) {
    super.init()
    (keys, values) = (rows.keys, rows.values)
  }
}
