import Checkpoints
import Foundation
import OrderedCollections
import Recipes
import TestSupport
import Testing
import Text
import Torch
import Tuners

@Suite struct ExtractionTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func url(_ name: String) -> URL { folder.url.appending(path: name) }

  private func tuned(_ base: URL, _ adapter: String) throws -> URL {
    _ = try MergedModel(source: base, adapters: [Goldens.url("adapters/\(adapter)").path], dtype: .float32).write(
      to: url("tuned"))
    return url("tuned")
  }

  /// What an adapter of rank 4 changed comes back as an adapter of rank 4, also where the base stores [in, out].
  @Test(arguments: [("llama-tied", "lora"), ("gpt2", "lora-gpt2"), ("llama-tied", "lora-all-linear-rslora")])
  func findsTheAdapterThatWasMerged(_ model: String, _ adapter: String) throws {
    let base = try TinyModels.folder(model, in: folder)
    let report = try AdapterExtraction(rank: 4).extract(
      base: base, tuned: try tuned(base, adapter), named: model, to: url("adapter"))
    #expect(report.error < 1e-5 && report.wholeError < 1e-5)
    #expect(report.uncovered.isEmpty)
    let (own, original) = (
      try StoredLoRA(url("adapter"), for: "comparing"), try StoredLoRA(Goldens.url("adapters/\(adapter)"), for: "comparing")
    )
    #expect(Set(own.modules.keys) == Set(original.modules.keys))
    for (path, module) in original.modules {
      try assertClose(try #require(own.modules[path]).change(), try module.change(), absolute: 1e-4, path)
    }
    #expect(own.base == model && own.record.base != nil)
    #expect(own.storesTransposed == original.storesTransposed)
    // The adapter on the base gives the tuned model's numbers.
    _ = try MergedModel(source: base, adapters: [url("adapter").path], dtype: .float32).write(to: url("again"))
    let (first, second) = (try ModelFiles(url("again")).weights, try ModelFiles(url("tuned")).weights)
    for name in second.names { try assertClose(try first.tensor(name), try second.tensor(name), absolute: 1e-4, name) }
  }

  @Test func lessRankLosesMoreAndSaysSo() throws {
    let base = try TinyModels.folder("llama-tied", in: folder)
    let tuned = try tuned(base, "lora")
    var errors: [Double] = []
    for rank in 1...4 {
      let report = try AdapterExtraction(rank: rank).extract(base: base, tuned: tuned, named: "x", to: url("rank-\(rank)"))
      errors.append(report.error)
      #expect(report.modules.allSatisfy { $0.rank == rank && $0.norm > 0 })
    }
    #expect(errors == errors.sorted(by: >) && errors[0] > 0.1)
  }

  @Test func whatNoProjectionCoversIsNamed() throws {
    let base = try TinyModels.folder("llama", in: folder)
    let tuned = try tuned(base, "lora-modules-to-save")
    let report = try AdapterExtraction(rank: 4).extract(base: base, tuned: tuned, named: "x", to: url("adapter"))
    #expect(report.uncovered.map(\.name) == ["lm_head.weight"])
    #expect(report.error < 1e-4 && report.wholeError > 0.1)
    let head = try AdapterExtraction(rank: 32, targets: .names(["lm_head"])).extract(
      base: base, tuned: tuned, named: "x", to: url("head"))
    #expect(head.modules.map(\.path) == ["lm_head"] && head.error < 1e-4)
  }

  @Test func refusesModelsThatDoNotBelongTogether() throws {
    let base = try TinyModels.folder("llama-tied", in: folder)
    let other = try TinyModels.folder("qwen3", in: folder)
    func refusal(_ extraction: AdapterExtraction, _ tuned: URL) -> String {
      do { _ = try extraction.extract(base: base, tuned: tuned, named: "x", to: url("never")) } catch { return "\(error)" }
      return "nothing was refused"
    }
    #expect(refusal(AdapterExtraction(rank: 2), other).contains("shape"))
    let copy = url("copy")
    try FileManager.default.copyItem(at: base, to: copy)
    #expect(refusal(AdapterExtraction(rank: 2), copy).contains("does not differ"))
    #expect(refusal(AdapterExtraction(rank: 0), copy).contains("at least 1"))
    #expect(refusal(AdapterExtraction(rank: 2, targets: .names(["q_prj"])), copy).contains("q_proj"))
    #expect(!FileManager.default.fileExists(atPath: url("never").path))
  }
}
