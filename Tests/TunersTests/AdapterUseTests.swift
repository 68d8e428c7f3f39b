import NN
import TestSupport
import Testing
import Torch

@testable import Tuners

/// Adapters side by side: with weights, and each on rows of its own.
@Suite struct AdapterUseTests {
  private let set: AdapterSet
  private let rows: [[Int32]] = [[3, 5, 7, 9], [4, 6, 8, 10], [3, 5, 7, 9], [11, 12, 13, 14], [20, 21, 22, 23]]

  init() throws {
    set = try AdapterSet(try TinyModels.load("llama-tied"))
    for name in ["first", "second", "third"] {
      try AdapterFolder.load(Goldens.url("combine/\(name)"), into: set, named: name)
    }
  }

  private func logits(_ rows: [[Int32]]) throws -> Tensor {
    try withoutGradients { () throws in try set.model.logits(try ModelInput(rows: rows)) }
  }

  @Test func aWeightedSumIsThatOfTheChanges() throws {
    let uses = [AdapterUse("first", weight: 0.7), AdapterUse("second", weight: -0.4), AdapterUse("third", weight: 0.5)]
    try set.activate(uses: uses)
    #expect(set.uses == uses && set.active == ["first", "second", "third"])
    let weighted = try logits(rows)
    let parts = try uses.map {
      (adapter: try StoredLoRA(Goldens.url("combine/\($0.name)"), for: "combining"), weight: $0.weight)
    }
    let folder = try TemporaryFolder()
    try AdapterCombination(.cat).combine(parts).adapter.write(to: folder.url)
    try AdapterFolder.load(folder.url, into: set, named: "sum")
    #expect(set.active == ["sum"])
    try assertClose(weighted, try logits(rows), absolute: 1e-4)
    try set.activate(uses: uses)
    try set.mergeAndUnload()
    try assertClose(try logits(rows), weighted, absolute: 1e-4)
  }

  @Test func switchingIsExactBothWays() throws {
    try set.activate(["first"])
    let first = try logits(rows)
    try set.activate(uses: [AdapterUse("second", weight: 0.5)])
    #expect(try !logits(rows).isEqual(to: first))
    try set.activate(["first"])
    #expect(try logits(rows).isEqual(to: first))
  }

  @Test func eachRowHasTheAdaptersOfItsRequest() throws {
    let requests: [[AdapterUse]] = [
      [AdapterUse("second")], [], [AdapterUse("first")], [AdapterUse("first", weight: 0.5), AdapterUse("third")],
      [AdapterUse("second")],
    ]
    var expected: [Tensor] = []
    for (row, uses) in zip(rows, requests) {
      try set.activate(uses: uses)
      expected.append(try logits([row]))
    }
    try set.activate(["third"])
    let together = try set.routing(requests) { routing in
      routing.route(requests.indices.map { ($0, 4) })
      return try logits(rows)
    }
    try assertClose(together, try Tensor.concatenated(expected, 0), absolute: 1e-4)
    #expect(set.active == ["third"])
    // Requests whose choices come in one piece, and one choice for all.
    for order in [[1, 3], [0, 4]] {
      let part = try set.routing(order.map { requests[$0] }) { routing in
        routing.route([(0, 4), (1, 4)])
        return try logits(order.map { rows[$0] })
      }
      try assertClose(part, try Tensor.concatenated(order.map { expected[$0] }, 0), absolute: 1e-4)
    }
  }

  /// A delta that is no low-rank update, alone with a weight, merged, and beside others in a batch.
  @Test func methodsThatAreNoLowRankUpdateTakePart() throws {
    try AdapterFolder.load(Goldens.url("adapters/lora-dora"), into: set, named: "dora")
    let half = [AdapterUse("first"), AdapterUse("dora", weight: 0.5)]
    try set.activate(uses: half)
    let chained = try logits([rows[1]])
    try set.merge()
    try assertClose(try logits([rows[1]]), chained, absolute: 1e-4)
    try set.unmerge()
    try set.activate(["dora"])
    let whole = try logits([rows[0]])
    try set.activate(uses: [AdapterUse("dora", weight: 1 - 1e-7)])
    try assertClose(try logits([rows[0]]), whole, absolute: 1e-4)
    let together = try set.routing([[AdapterUse("dora")], half]) { routing in
      routing.route([(0, 4), (1, 4)])
      return try logits(Array(rows.prefix(2)))
    }
    try assertClose(together, try Tensor.concatenated([whole, chained], 0), absolute: 1e-4)
  }

  @Test func rowsThatWereNotAnnouncedAreRefused() throws {
    #expect(throws: TorchError.self) { try set.routing([[], []]) { _ in try logits(rows) } }
    #expect(throws: TorchError.self) {
      try set.routing([[], []]) { routing in
        routing.route([(0, 4), (1, 3)])
        _ = try logits(Array(rows.prefix(2)))
      }
    }
    #expect(set.active == ["third"], "as before the failure")
    _ = try logits(rows)
  }

  @Test func refusesWhatCannotBe() throws {
    func refusal(_ body: () throws -> Void) -> String {
      do { try body() } catch { return "\(error)" }
      return "nothing was refused"
    }
    #expect(refusal { try set.activate(uses: [AdapterUse("fourth")]) }.contains("there is no adapter “fourth”"))
    #expect(refusal { try set.activate(uses: [AdapterUse("first", weight: .nan)]) }.contains("is no number"))
    #expect(refusal { try set.activate(["first", "first"]) }.contains("asked for twice"))
    let whole = try AdapterSet(try TinyModels.load("llama"))
    try AdapterFolder.load(Goldens.url("adapters/lora-modules-to-save"), into: whole, named: "whole")
    #expect(refusal { try whole.activate(uses: [AdapterUse("whole", weight: 0.5)]) }.contains("lm_head.weight"))
    #expect(refusal { try whole.routing([[AdapterUse("whole")]]) { _ in } }.contains("one for all requests"))
    #expect(whole.active == ["whole"])
  }
}

/// Adapters folded into weights, and the weights as they were.
@Suite struct UnmergeTests {
  private let rows: [[Int32]] = [[3, 5, 7, 9], [4, 6, 8, 10]]

  private func logits(_ model: any CausalLM) throws -> Tensor {
    try withoutGradients { () throws in try model.logits(try ModelInput(rows: rows)) }
  }

  @Test(arguments: ["lora", "lora-bias-all", "lora-modules-to-save", "lora-gpt2-all", "lora-dora"]) func comesBackToTheBit(
    _ name: String
  )
    throws
  {
    let base = try #require(try AdapterFolder.baseModel(Goldens.url("adapters/\(name)")))
    let set = try AdapterSet(try TinyModels.load(base))
    let plain = try logits(set.model)
    try AdapterFolder.load(Goldens.url("adapters/\(name)"), into: set)
    let adapted = try logits(set.model)
    let weights = set.model.parameters().map(\.value)
    for _ in 0..<2 {
      try set.merge()
      #expect(set.isMerged)
      try assertClose(try logits(set.model), adapted, absolute: 1e-4)
      #expect(!set.model.projections().contains { $0.slot.value is AdaptedProjection })
      try set.unmerge()
      #expect(try logits(set.model).isEqual(to: adapted))
      #expect(zip(set.model.parameters(), weights).allSatisfy { $0.value.isSameMemory(as: $1) })
    }
    #expect(try set.withAdaptersDisabled { try logits(set.model) }.isEqual(to: plain))
  }

  @Test func nothingIsSwitchedWhileItLasts() throws {
    let set = try AdapterSet(try TinyModels.load("llama-tied"))
    try AdapterFolder.load(Goldens.url("adapters/lora"), into: set)
    try set.merge()
    for work in [{ try set.activate([]) }, { try set.merge() }, { _ = try set.add(LoRAConfiguration(), named: "x") }] {
      #expect { try work() } throws: { "\($0)".contains("call unmerge() first") }
    }
    try set.unmerge()
    try set.activate([])
  }

  @Test func numbersThatAreNotFiniteAreNamed() throws {
    let set = try AdapterSet(try TinyModels.load("llama-tied"))
    let adapter = try AdapterFolder.load(Goldens.url("adapters/lora"), into: set)
    try adapter.parameters[1].value.fillInPlace(.infinity)
    #expect { try set.merge() } throws: { "\($0)".contains("q_proj") && "\($0)".contains("not finite") }
    #expect(!set.isMerged)
    #expect(set.model.projections().contains { $0.slot.value is AdaptedProjection })
  }
}
