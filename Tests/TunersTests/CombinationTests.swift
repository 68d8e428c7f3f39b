import Checkpoints
import Foundation
import OrderedCollections
import TestSupport
import Testing
import Text
import Torch

@testable import Tuners

/// Combined adapters against PEFT's `add_weighted_adapter`; see `Scripts/goldens/combine.py`.
@Suite struct CombinationTests {
  static let cases = [
    "linear", "linear-negative", "cat", "svd", "svd-rank-3", "ties", "ties-frequency", "ties_svd", "magnitude_prune",
    "magnitude_prune_svd",
  ]

  private func adapter(_ name: String) throws -> StoredLoRA {
    try StoredLoRA(Goldens.url("combine/\(name)"), for: "combining")
  }

  private func golden(_ name: String) throws -> (
    combination: AdapterCombination, parts: [(adapter: StoredLoRA, weight: Double)], expected: SafetensorsFile
  ) {
    let settings = try #require(try Goldens.json("combine/cases.json")[name])
    let kind = try #require(settings["combination_type"]?.string.flatMap(CombinationMethod.init))
    let combination = AdapterCombination(
      kind, density: settings["density"]?.double, rank: settings["svd_rank"]?.int,
      majoritySign: settings["majority_sign_method"]?.string.flatMap(MajoritySign.init) ?? .total)
    let names = (settings["adapters"]?.array ?? []).compactMap(\.string)
    let weights = (settings["weights"]?.array ?? []).compactMap(\.double)
    let parts = try zip(names, weights).map { (adapter: try adapter($0), weight: $1) }
    return (combination, parts, try Goldens.tensors("combine/\(name).safetensors"))
  }

  @Test(arguments: cases) func changesWeightsAsTheReference(_ name: String) throws {
    let (combination, parts, expected) = try golden(name)
    #expect(parts.count > 1 && !expected.names.isEmpty)
    let combined = try combination.combine(parts).adapter
    for path in expected.names {
      let module = try #require(combined.modules[path], "\(path)")
      try assertClose(try module.change(), try expected.tensor(path), relative: 0, absolute: 1e-5, "\(name) \(path)")
    }
    #expect(Set(combined.modules.keys) == Set(parts.flatMap { $0.adapter.modules.keys }))
  }

  @Test(arguments: cases) func whatIsWrittenIsReadAgain(_ name: String) throws {
    let (combination, parts, expected) = try golden(name)
    let folder = try TemporaryFolder()
    try combination.combine(parts).adapter.write(to: folder.url)
    let again = try StoredLoRA(folder.url, for: "reading")
    for path in expected.names {
      try assertClose(
        try #require(again.modules[path]).change(), try expected.tensor(path), relative: 0, absolute: 1e-5, "\(name) \(path)")
    }
    let set = try AdapterSet(try TinyModels.load("llama-tied"))
    try AdapterFolder.load(folder.url, into: set)
  }

  /// With all elements kept, DARE is linear; with some dropped at random, its mean is.
  @Test(arguments: [CombinationMethod.dareLinear, .dareTies]) func dareKeepsTheShareAskedFor(_ method: CombinationMethod) throws {
    let a = try Tensor.ones([100, 200])
    let parts = [(adapter: StoredLoRA(modules: [.init(path: "x", a: a, b: try .ones([3, 100]), scale: 1)]), weight: 1.0)]
    let combined = try AdapterCombination(method, density: 0.3, seed: 7).combine(parts).adapter
    let values = try #require(combined.modules["x"]).a.array(Float.self)
    let kept = values.filter { $0 != 0 }
    // The share is a whole number of 65536ths.
    #expect(kept.allSatisfy { abs($0 - 1 / 0.3) < 1e-4 }, "what stays is scaled up")
    // 20 000 draws: three standard deviations are 1 %.
    #expect(abs(Double(kept.count) / Double(values.count) - 0.3) < 0.01)
  }

  @Test func theSeedSettlesWhatDareDrops() throws {
    let parts = [(adapter: try adapter("first"), weight: 0.5), (adapter: try adapter("second"), weight: 0.5)]
    func change(_ seed: UInt64) throws -> Tensor {
      let combination = AdapterCombination(.dareTiesSVD, density: 0.5, seed: seed)
      return try #require(try combination.combine(parts).adapter.modules.values.first).change()
    }
    let before = try RandomState.capture()
    #expect(try change(1).isEqual(to: change(1)))
    #expect(try !change(1).isEqual(to: change(2)))
    #expect(try RandomState.capture().isEqual(to: before), "the run around it draws as if nothing had been")
  }

  @Test func withEveryElementKeptDareIsLinear() throws {
    let parts = [(adapter: try adapter("first"), weight: 0.7), (adapter: try adapter("second"), weight: -0.3)]
    let linear = try AdapterCombination(.linear).combine(parts).adapter
    let dare = try AdapterCombination(.dareLinear, density: 1).combine(parts).adapter
    for (path, module) in linear.modules {
      try assertClose(try #require(dare.modules[path]).change(), try module.change(), absolute: 1e-6)
    }
  }

  @Test func theErrorIsWhatTheRankLeavesOut() throws {
    let parts = [(adapter: try adapter("first"), weight: 0.7), (adapter: try adapter("third"), weight: 0.4)]
    let exact = try AdapterCombination(.cat).combine(parts).adapter
    let result = try AdapterCombination(.svd, rank: 2).combine(parts)
    let enough = try AdapterCombination(.svd, rank: 6).combine(parts).error
    #expect(enough ?? 1 < 1e-6)
    for (path, module) in result.adapter.modules {
      let whole = try #require(exact.modules[path]).change()
      let lost = try (whole - module.change()).norm().item() / whole.norm().item()
      #expect(abs(lost - (result.errors[path] ?? 0)) < 1e-4, "\(path)")
    }
  }

  @Test func aMatrixOfOneRowIsCombined() throws {
    let one = StoredLoRA(modules: [
      .init(path: "x", a: try Tensor([1, 2, 3] as [Float], shape: [1, 3]), b: try .ones([1, 1]), scale: 2)
    ])
    let two = StoredLoRA(modules: [
      .init(path: "x", a: try Tensor([3, 2, 1] as [Float], shape: [1, 3]), b: try .ones([1, 1]), scale: 1)
    ])
    for method in CombinationMethod.allCases {
      let combination = AdapterCombination(method, density: method.takesDensity ? 1 : nil)
      let change = try #require(try combination.combine([(one, 1), (two, 1)]).adapter.modules["x"]).change()
      #expect(change.shape == [1, 3])
      #expect(try change.isFinite().all(), "\(method)")
    }
    let svd = try #require(try AdapterCombination(.svd).combine([(one, 1), (two, 1)]).adapter.modules["x"])
    try assertClose(try svd.change(), [5, 6, 7])
  }

  @Test func refusesWhatDoesNotAddUp() throws {
    let (first, second, third) = (try adapter("first"), try adapter("second"), try adapter("third"))
    func refusal(_ combination: AdapterCombination, _ parts: [(adapter: StoredLoRA, weight: Double)]) -> String {
      do { _ = try combination.combine(parts) } catch { return "\(error)" }
      return "nothing was refused"
    }
    #expect(refusal(.init(.linear), [(first, 1), (third, 1)]).contains("adds factors of one rank, and these have 4 and 2"))
    #expect(refusal(.init(.ties), [(first, 1), (second, 1)]).contains("needs a density"))
    #expect(refusal(.init(.svd, density: 0.5), [(first, 1), (second, 1)]).contains("takes no density"))
    #expect(refusal(.init(.ties, density: 0), [(first, 1), (second, 1)]).contains("above 0 and at most 1"))
    #expect(refusal(.init(.svd, rank: 0), [(first, 1), (second, 1)]).contains("at least 1"))
    #expect(refusal(.init(.cat, rank: 3), [(first, 1), (second, 1)]).contains("takes no rank"))
    #expect(refusal(.init(.cat), [(first, .nan)]).contains("a weight must be"))
    #expect(refusal(.init(.cat), []).contains("no adapter to combine"))
    var (here, there) = (first, second)
    here.record.base = .init(fingerprint: "one")
    there.record.base = .init(fingerprint: "two")
    #expect(refusal(.init(.cat), [(here, 1), (there, 1)]).contains("different bases"))
    var broken = first
    for path in broken.modules.keys { broken.modules[path]?.b = try .full(first.modules[path]?.b.shape ?? [], .nan) }
    #expect(refusal(.init(.cat), [(broken, 1), (second, 1)]).contains("not finite"))
    let wider = StoredLoRA(
      modules: try first.modules.values.map { .init(path: $0.path, a: try .ones([4, 7]), b: $0.b, scale: 1) })
    #expect(refusal(.init(.cat), [(first, 1), (wider, 1)]).contains("different sizes"))
  }

  @Test func refusesWhatIsMoreThanLoRA() {
    #expect {
      try StoredLoRA(Goldens.url("adapters/lora-modules-to-save"), for: "combining")
    } throws: {
      "\($0)".contains("lm_head.weight") && "\($0)".contains("attune adapters merge")
    }
    #expect(throws: (any Error).self) { try StoredLoRA(Goldens.url("adapters/lora-dora"), for: "combining") }
  }
}
