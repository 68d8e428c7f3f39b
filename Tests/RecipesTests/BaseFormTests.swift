import Checkpoints
import Foundation
import TestSupport
import Testing
import Text
import Torch
import Tuners

@testable import Recipes

/// Adapters say how the weights were quantized that they were trained over, and are refused over others.
@Suite(.serialized) struct BaseFormTests {
  let folder: TemporaryFolder
  let source: URL

  init() throws {
    folder = try TemporaryFolder()
    source = try TinyModels.folder("llama-tied", in: folder)
  }

  private func weights(_ url: URL? = nil, _ quantization: Quantization? = nil) throws -> ModelWeights {
    try ModelWeights(
      url ?? source, options: ModelOptions(dtype: .float32, device: .cpu, quantization: quantization))
  }

  /// An adapter that notes `base`.
  private func adapter(_ base: AdapterRecord.Base) throws -> String {
    let url = folder.url.appending(path: UUID().uuidString)
    try FileManager.default.copyItem(at: Goldens.url("adapters/lora"), to: url)
    try AdapterRecord(base: base).write(to: url)
    #expect(try AdapterRecord(readingFrom: url)?.base == base)
    return url.path
  }

  private func refusal(_ weights: ModelWeights, _ adapter: String) throws -> String {
    let error = #expect(throws: RecipeError.self) { try weights.load(adapters: [adapter]) }
    try weights.load(adapters: [adapter], anyBase: true)
    return error.map { "\($0)" } ?? ""
  }

  private let single = {
    var quantization = Quantization(.nf4)
    quantization.doubleQuant = false
    return quantization
  }()

  @Test func isRefusedOverWeightsQuantizedOtherwise() throws {
    let packed = try adapter(weights(nil, Quantization(.nf4)).recordBase())
    try weights(nil, Quantization(.nf4)).load(adapters: [packed])
    #expect(try refusal(weights(), packed).contains("load it with --quantize nf4 (in a recipe: `quantization: nf4`)"))
    #expect(try refusal(weights(nil, Quantization(.int8)), packed).contains("quantized as nf4, double"))
    #expect(try refusal(weights(nil, single), packed).contains("--quantize nf4"))
    let plain = try adapter(weights(nil, single).recordBase())
    #expect(try refusal(weights(), plain).contains("--no-double-quant"))
    let dense = try adapter(weights().recordBase())
    try weights().load(adapters: [dense])
    #expect(try refusal(weights(nil, Quantization(.nf4)), dense).contains("leave the quantization out"))
  }

  @Test func aQuantizedFolderIsItsModelQuantized() throws {
    let output = folder.url.appending(path: "nf4")
    _ = try QuantizedModel(source: source, Quantization(.nf4)).write(to: output)
    let packed = try adapter(weights(nil, Quantization(.nf4)).recordBase())
    let written = try adapter(weights(output).recordBase())
    for one in [packed, written] {
      try weights(nil, Quantization(.nf4)).load(adapters: [one])
      try weights(output).load(adapters: [one])
    }
    #expect(try refusal(weights(), written).contains("load it with --quantize nf4"))
    let dense = try adapter(weights().recordBase())
    #expect(try refusal(weights(output), dense).contains("give the model that"))
    let other = try TinyModels.folder("llama-bias", in: folder)
    let stranger = try adapter(weights(other).recordBase())
    #expect(try refusal(weights(), stranger).contains("another base"))
    // A dense model written over the folder is no longer made from anything.
    _ = try MergedModel(source: source, adapters: []).write(
      to: output, replacing: true, options: ModelOptions(dtype: .float32, device: .cpu))
    #expect(try QuantizedOrigin(readingFrom: output) == nil)
  }

  @Test func aFileOfQuantizedBlocksIsOneFormHoweverItIsKept() throws {
    let file = Goldens.url("gguf/llama-tied-q8_0.gguf")
    let dense = try weights(file).recordBase()
    #expect(dense.quantization == BaseQuantization("Q8_0"))
    #expect(try weights(file, Quantization(.stored)).recordBase() == dense)
    #expect(try weights(file, Quantization(.nf4)).recordBase().quantization?.description == "nf4, double")
  }

  @Test func olderRecordsAreRead() throws {
    let fingerprint = try weights().recordBase().fingerprint
    let url = URL(filePath: try adapter(AdapterRecord.Base(fingerprint: fingerprint, isFormKnown: false)))
    let file = url.appending(path: AdapterRecord.fileName)
    func note(_ quantization: JSON?) throws {
      var members: JSON = ["fingerprint": .string(fingerprint)]
      if let quantization { members = ["fingerprint": .string(fingerprint), "quantization": quantization] }
      try AtomicFile.write((["base": members] as JSON).text(), to: file)
    }
    try note(nil)
    for quantization in [nil, Quantization(.nf4)] { try weights(nil, quantization).load(adapters: [url.path]) }
    try note("nf4, double")
    try weights(nil, Quantization(.nf4)).load(adapters: [url.path])
    #expect(try refusal(weights(), url.path).contains("--quantize nf4"))
    try note(["double_quant": true])
    let error = #expect(throws: TunerError.self) { try weights().load(adapters: [url.path]) }
    #expect(error?.description.contains("“base.quantization” has no “type”") == true)
    try FileManager.default.removeItem(at: file)
    try weights(nil, Quantization(.nf4)).load(adapters: [url.path])
  }
}
