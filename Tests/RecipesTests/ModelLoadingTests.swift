import Checkpoints
import Foundation
import Generation
import NN
import OrderedCollections
import TestSupport
import Testing
import Text
import Torch
import Tuners

@testable import Recipes

@Suite(.serialized) struct ModelLoadingTests {
  let folder: TemporaryFolder
  let model: URL
  let cpu = ModelOptions(dtype: .float32, device: .cpu)

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder)
  }

  @Test func aModelComesWithTokenizerTemplateAndStopTokens() throws {
    let loaded = try LoadedModel(model.path, options: cpu)
    #expect(loaded.text.tokenizer.vocabularySize == 96)
    #expect(loaded.stopTokens == [2])
    let golden = try Goldens.json("cli/expected.json")["chat"]
    let turns = golden?["messages"]?.array?.map { Message(role: $0["role"]?.string ?? "", content: $0["content"]?.string) } ?? []
    #expect(try loaded.text.encode(turns).map(Int.init) == golden?["prompt_tokens"]?.array?.compactMap(\.int))
  }

  @Test func adaptersApplyTogether() throws {
    let expected = try Goldens.tensors("adapters/two-adapters/expected.safetensors")
    let weights = try ModelWeights(model, options: cpu)
    let folders = ["first", "second"].map { Goldens.url("adapters/two-adapters/\($0)").path }
    try weights.load(adapters: folders)
    #expect(weights.adapters.active == ["first", "second"])
    let rows = try expected.tensor("input_ids").array(Int64.self)
    let width = try #require(expected.info("input_ids")?.shape.last)
    let input = try ModelInput(rows: [Array(rows[..<width]), Array(rows[width...])].map { $0.map(Int32.init) })
    let logits = try weights.model.inference { try weights.model.logits(input) }
    #expect(try mismatch(logits, expected.tensor("both.logits"), absolute: 1e-4) == nil)
  }

  @Test func aModelWithoutTokenizerHasWeights() throws {
    let bare = try TinyModels.folder("gpt2", in: folder, withTokenizer: false)
    #expect(try ModelWeights(bare, options: cpu).model.shape.vocabularySize == 96)
    #expect(throws: (any Error).self) { try LoadedModel(bare.path, options: cpu) }
  }

  @Test func aTokenizerThatIsTooLargeIsRefused() throws {
    try Data(contentsOf: Goldens.url("tokenizers/smollm2/tokenizer.json")).write(to: model.appending(path: "tokenizer.json"))
    do {
      _ = try LoadedModel(model.path, options: cpu)
      Issue.record("loaded")
    } catch { #expect("\(error)".contains("the tokenizer has 700 tokens and the model 96 rows")) }
  }

  /// What was converted or packed leaves none of its file in memory; a model in the file's own type lies over it.
  @Test(arguments: [Quantization.Kind?.none, .nf4, .int8])
  func pagesOfTheFilesAreGivenBack(_ kind: Quantization.Kind?) throws {
    var members = try BenchShape(named: "tinyllama-1.1b").config.object ?? [:]
    let sizes = ["vocab_size": 512, "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 3]
    for (key, size) in sizes { members[key] = .int(size) }
    let url = folder.url.appending(path: "shards").standardizedFileURL
    try RandomModel.write(
      BenchShape(name: "small", config: .object(members)), dtype: .bfloat16, shardByteLimit: 3_000_000, to: url)
    var options = cpu
    options.quantization = kind.map { Quantization($0) }
    let weights = try ModelWeights(url, options: options)
    let count = weights.files.weights.names.count
    // Of 17 MB: a fault maps up to 64 kB around what was touched, of the tensor before, too.
    #expect(try residentBytes(under: url) <= count * 65536)
    options.dtype = .bfloat16
    let mapped = try ModelWeights(url, options: options)
    _ = try mapped.model.embedding.weight.to(.float32)
    let resident = try residentBytes(under: url)
    #expect(resident >= 512 * 512 * 2 && mapped.model.dtype == .bfloat16)
    #expect(weights.model.projections().contains { $0.slot.value is QuantizedLinear } == (kind != nil))
  }

  /// The bytes of mapped files below a folder that are in this process's memory.
  private func residentBytes(under folder: URL) throws -> Int {
    var (bytes, counts) = (0, false)
    // The file has no size; only a handle reads to its end.
    let data = try FileHandle(forReadingFrom: URL(filePath: "/proc/self/smaps")).readToEnd() ?? Data()
    for line in String(decoding: data, as: UTF8.self).split(separator: "\n") {
      // A mapping begins with its addresses, its figures with their names.
      if line.first?.isHexDigit == true, line.first?.isUppercase == false { counts = line.contains(folder.path) }
      if counts, line.hasPrefix("Rss:") { bytes += 1024 * (Int(line.split(separator: " ")[1]) ?? 0) }
    }
    return bytes
  }

  @Test func aGPUThatIsNotThereIsRefused() {
    let options = ModelOptions(device: .cuda(TorchRuntime.cudaDeviceCount))
    #expect(throws: RecipeError.self) { try options.resolvedDevice() }
  }

  @Test func samplingIsTakenFromTheModelWhereItAsksForIt() throws {
    let asked = SamplingSettings(
      generationConfig: ["do_sample": true, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "min_p": 0.1])
    #expect((asked.temperature, asked.topP, asked.topK, asked.minP) == (0.6, 0.9, 20, 0.1))
    let silent = SamplingSettings(generationConfig: ["temperature": 0.6, "repetition_penalty": 1.1])
    #expect((silent.temperature, silent.repetitionPenalty) == (0, 1.1))
    #expect(SamplingSettings(generationConfig: ["do_sample": true]).temperature == 1)
    #expect(SamplingSettings(generationConfig: nil) == SamplingSettings())
  }
}
