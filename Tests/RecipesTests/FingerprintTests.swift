import Checkpoints
import Foundation
import Recipes
import TestSupport
import Testing
import Torch
import Tuners

@Suite struct FingerprintTests {
  private let folder: TemporaryFolder
  private let model: URL

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder)
  }

  private func fingerprint(_ tensors: [(String, Tensor)], limit: Int = .max) throws -> String {
    let url = folder.url.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    try Safetensors.write(tensors, inFolder: url, shardByteLimit: limit)
    try FileManager.default.copyItem(at: model.appending(path: "config.json"), to: url.appending(path: "config.json"))
    return try BaseFingerprint(ModelFiles(url).weights).description
  }

  private func tensors() throws -> [(String, Tensor)] {
    let weights = try ModelFiles(model).weights
    return try weights.names.map { ($0, try weights.tensor($0).clone()) }
  }

  @Test func isTheSameForOtherShardsAndOrders() throws {
    let tensors = try tensors()
    let whole = try BaseFingerprint(ModelFiles(model).weights).description
    #expect(try fingerprint(tensors) == whole)
    #expect(try fingerprint(tensors.reversed(), limit: 20_000) == whole)
    #expect(try fingerprint(tensors, limit: 1) == whole)
  }

  @Test func differsForAnyChangeOfATunedModel() throws {
    let whole = try BaseFingerprint(ModelFiles(model).weights).description
    let changed = try tensors()
    try changed[3].1.addInPlace(try .ones([1]), scale: 1e-3)
    #expect(try fingerprint(changed) != whole)
    var renamed = try tensors()
    renamed[0].0 += "x"
    #expect(try fingerprint(renamed) != whole)
    #expect(try fingerprint(Array(tensors().dropLast())) != whole)
    #expect(try fingerprint(tensors().map { ($0.0, try $0.1.to(.bfloat16)) }) != whole)
    var reshaped = try tensors()
    reshaped[1].1 = try reshaped[1].1.reshaped(1, -1)
    #expect(try fingerprint(reshaped) != whole)
  }

  @Test func tellsQuantizedModels() throws {
    #expect(try ModelFiles(Goldens.url("gguf/llama-q8_0.gguf")).quantization?.description == "Q8_0")
    #expect(try ModelFiles(Goldens.url("gguf/llama-tied-f32.gguf")).quantization == nil)
    #expect(try ModelFiles(model).quantization == nil)
  }
}
