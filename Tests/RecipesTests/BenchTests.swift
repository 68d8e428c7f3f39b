import Checkpoints
import Datasets
import Foundation
import Generation
import Models
import NN
import OrderedCollections
import TestSupport
import Testing
import Text
import Torch
import Training
import Tuners

@testable import Recipes

/// What of measuring can be tested without time.
@Suite(.serialized) struct BenchTests {
  let folder: TemporaryFolder
  let cpu = ModelOptions(dtype: .float32, device: .cpu)

  init() throws { folder = try TemporaryFolder() }

  /// A known shape made small: 2 layers and few tokens.
  private func small(_ name: String) throws -> BenchShape {
    var members = try BenchShape(named: name).config.object ?? [:]
    let sizes = [
      "vocab_size": 96, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
      "num_key_value_heads": 2, "n_embd": 24, "n_layer": 2, "n_head": 4, "n_positions": 64,
    ]
    for (key, size) in sizes where members[key] != nil { members[key] = .int(size) }
    return BenchShape(name: name, config: .object(members))
  }

  private func weights(_ name: String, dtype: DType = .float32) throws -> ModelWeights {
    try RandomModel.write(try small(name), dtype: dtype, to: folder.url)
    return try ModelWeights(folder.url, options: ModelOptions(dtype: dtype, device: .cpu))
  }

  // MARK: Random models

  @Test(arguments: ["smollm2-135m", "gpt2-124m", "tinyllama-1.1b", "mistral-7b"])
  func aRandomModelHasEveryTensorItsConfigurationAsksFor(_ name: String) throws {
    let model = try weights(name, dtype: .bfloat16).model
    #expect(model.dtype == .bfloat16)
    #expect(model.shape.vocabularySize == 96)
    let table = try model.embedding.weight.array(Float.self)
    let spread = (table.reduce(0) { $0 + Double($1) * Double($1) } / Double(table.count)).squareRoot()
    #expect(abs(spread - 0.02) < 0.002)
    let logits = try model.inference { try model.logits(try ModelInput(rows: [[1, 2, 3]])) }
    #expect(try logits.isFinite().all())
  }

  /// The published models have as many parameters as their names say.
  @Test(arguments: [
    ("smollm2-135m", 134_515_008), ("gpt2-124m", 124_439_808), ("tinyllama-1.1b", 1_100_048_384),
    ("mistral-7b", 7_241_732_096),
  ])
  func theKnownShapesHaveThePublishedSizes(_ name: String, _ count: Int) throws {
    let shape = try BenchShape(named: name)
    let list = try RandomTensorList(ModelConfiguration(shape.config, path: name))
    #expect(list.entries.reduce(0) { $0 + $1.shape.reduce(1, *) } == count)
  }

  @Test func theSameSeedGivesTheSameModel() throws {
    var tables: [[Float]] = []
    for seed: UInt64 in [1, 1, 2] {
      try RandomModel.write(try small("smollm2-135m"), dtype: .float32, seed: seed, to: folder.url)
      tables.append(try ModelWeights(folder.url, options: cpu).model.embedding.weight.array())
    }
    #expect(tables[0] == tables[1])
    #expect(tables[0] != tables[2])
  }

  @Test func loadingSaysWhatItTook() throws {
    try RandomModel.write(try small("smollm2-135m"), dtype: .float32, to: folder.url)
    let dense = try LoadingMeasurement.measure(folder.url, options: cpu)
    let parameters = try ModelWeights(folder.url, options: cpu).model.parameterCount().total
    // The head is the token table.
    #expect(dense.modelBytes == 4 * parameters && dense.largestTensorBytes == 96 * 24 * 4 && dense.quantization == nil)
    #expect(dense.peakMemoryBytes > 0 && dense.startMemoryBytes <= dense.peakMemoryBytes)
    var options = cpu
    options.quantization = Quantization(.int8)
    let packed = try LoadingMeasurement.measure(folder.url, options: options)
    // Each layer packs 4608 numbers into a byte each, and a float32 scale for each of 24 + 12 + 12 + 24 + 40 + 40 + 24 rows.
    #expect(packed.modelBytes == dense.modelBytes - 2 * (3 * 4608 - 4 * 176) && packed.quantization == "int8")
  }

  @Test func everyDropoutCanBeTakenOut() throws {
    let config = try BenchShape(named: "gpt2-124m").withoutDropout.config
    for key in ["embd_pdrop", "attn_pdrop", "resid_pdrop"] { #expect(config[key]?.double == 0) }
    #expect(config["n_embd"]?.int == 768)
  }

  @Test func whatIsNoShapeIsRefused() throws {
    let path = try folder.write(#"{"model_type": "bert"}"#, to: "config.json")
    for name in ["smollm", path] {
      #expect(throws: RecipeError.self) { try RandomModel.write(try BenchShape(named: name), dtype: .float32, to: folder.url) }
    }
  }

  // MARK: Operations

  /// 2 layers of hidden 24: q 24·24, k and v 12·24 each, o 24·24, three times 40·24 = 4608 a layer; head 96·24 = 2304.
  @Test func theOperationsAreThoseOfAHandCount() throws {
    let weights = try weights("smollm2-135m")
    let config = weights.files.config
    let base = ModelOperations(weights.model, config: config)
    #expect(
      base
        == ModelOperations(
          frozenWeights: 9216, trainedWeights: 0, headWeights: 2304, isHeadTrained: false, attentionWidth: 2 * 4 * 6))
    var bench = TrainingBench()
    bench.lora.targets = TrainingBench.defaultTargets("llama")
    try weights.adapters.add(bench.lora)
    let adapted = ModelOperations(weights.model, config: config)
    // A is 8 · 24 each time, B 24 · 8 on q and 12 · 8 on v.
    #expect(adapted.trainedWeights == 2 * (8 * 24 + 24 * 8 + 8 * 24 + 12 * 8))
    #expect(adapted.frozenWeights == 9216)
    // 5 + 3 tokens, 6 of them predicted; 15 + 6 pairs.
    #expect(base.training(lengths: [5, 3], targets: 6) == Double(8 * 4 * 9216 + 6 * 4 * 2304 + 12 * 48 * 21))
    #expect(
      adapted.training(lengths: [5, 3], targets: 6) == Double(8 * (4 * 9216 + 6 * 1344) + 6 * 4 * 2304 + 12 * 48 * 21))
  }

  @Test func aWholeModelTrainsEveryWeight() throws {
    let weights = try weights("gpt2-124m", dtype: .bfloat16)
    try weights.adapters.add(FullConfiguration()).setTrainable(true)
    // A layer of GPT-2 has 12 · 24² numbers in its projections.
    #expect(
      ModelOperations(weights.model, config: weights.files.config)
        == ModelOperations(
          frozenWeights: 0, trainedWeights: 2 * 12 * 24 * 24, headWeights: 2304, isHeadTrained: true, attentionWidth: 48))
    let hidden = try weights.model.hidden(try ModelInput(rows: [[1, 2, 3]]))
    #expect(hidden.dtype == .bfloat16)
    let (total, trainable) = weights.model.parameterCount()
    #expect(total == trainable)
  }

  // MARK: Runs

  @Test(arguments: TrainingBench.Method.allCases)
  func everyStepThatCountsIsInTheResult(_ method: TrainingBench.Method) throws {
    let weights = try weights("smollm2-135m")
    var bench = TrainingBench()
    (bench.method, bench.batchSize, bench.steps, bench.warmup) = (method, 2, 3, 1)
    bench.lora.targets = TrainingBench.defaultTargets("llama")
    let samples = BenchSamples.random(8, length: 16, vocabulary: 96)
    let result = try bench.run(weights, name: "tiny", samples: samples, scratch: folder.url)
    #expect(result.stepTokens == [32, 32, 32])
    #expect(result.stepSeconds.count == 3)
    #expect(result.tokensPerSecond == 32 / result.minStepSeconds)
    #expect(result.modelFlops > 0)
    #expect(result.utilization > 0)
    // Random tokens are as likely as any: ln 96.
    #expect(abs(result.losses[0] - 4.56) < 0.2)
    #expect(result.trainableParameters == (method == .full ? result.parameters : 1344))
  }

  @Test func everyParameterMovesInFullTuning() throws {
    let weights = try weights("gpt2-124m", dtype: .bfloat16)
    let before = try weights.model.parameters().map { ($0.path, try $0.value.array(Float.self)) }
    var bench = TrainingBench()
    (bench.method, bench.batchSize, bench.steps, bench.warmup) = (.full, 2, 2, 0)
    _ = try bench.run(weights, name: "tiny", samples: BenchSamples.random(4, length: 16, vocabulary: 96), scratch: folder.url)
    let after = Dictionary(uniqueKeysWithValues: try weights.model.parameters().map { ($0.path, try $0.value.array(Float.self)) })
    for (path, numbers) in before { #expect(after[path] != numbers, "\(path)") }
    // What is written reads back.
    let adapter = try #require(weights.adapters["default"])
    try adapter.setTrainable(false)
    let whole = TunedWeights(adapter)
    try whole.save(to: folder.url.appending(path: "saved"))
    for (_, value) in whole.parameters { try value.copyInPlace(try .zeros(value.shape)) }
    try whole.restore(from: folder.url.appending(path: "saved"))
    for (path, value) in whole.parameters { #expect(try value.array(Float.self) == after[path], "\(path)") }
  }

  @Test func theStepsOfARecipeAreMeasured() throws {
    let model = try TinyModels.folder("llama-tied", in: folder)
    let row = #"{"prompt": "a b", "completion": "c d"}"# + "\n"
    let data = try folder.write(String(repeating: row, count: 4), to: "data.jsonl")
    let recipe = try Recipe(
      """
      model: \(model.path)
      method: {type: lora, r: 4, target_modules: [q_proj]}
      data: {train: \(data), eval_split: 0.3}
      train: {batch_size: 2, dtype: f32, device: cpu, save_every: 1}
      output: \(folder.path("run"))
      """)
    let result = try TrainingBench.run(recipe, steps: 3, warmup: 1, scratch: folder.url.appending(path: "scratch"))
    #expect(result.stepSeconds.count == 3)
    #expect(result.stepTokens.allSatisfy { $0 > 0 })
    #expect(result.batchSize == 2)
    #expect(!FileManager.default.fileExists(atPath: folder.path("run")))
  }

  @Test func tooFewSamplesAreRefused() throws {
    let weights = try weights("smollm2-135m")
    let samples = BenchSamples.random(3, length: 8, vocabulary: 96)
    #expect(throws: RecipeError.self) { try TrainingBench().run(weights, name: "tiny", samples: samples, scratch: folder.url) }
  }

  @Test func generationGivesWhatWasAskedFor() throws {
    let weights = try weights("tinyllama-1.1b")
    var bench = GenerationBench()
    (bench.streams, bench.promptLength, bench.newTokens, bench.repeats, bench.warmup) = (3, 5, 7, 2, 0)
    let result = try bench.run(weights.model, name: "tiny")
    #expect(result.wholeSeconds.count == 2)
    #expect(result.tokensPerSecond == 21 / (result.wholeSeconds.min() ?? 0))
    #expect(result.prefillTokensPerSecond == 15 / result.timeToFirstToken)
    bench.newTokens = 5000
    #expect(throws: RecipeError.self) { try bench.run(weights.model, name: "tiny") }
  }

  // MARK: Samples

  @Test func samplesAreReadWithWhatIsLearntOfThem() throws {
    let path = try folder.write(
      #"{"tokens": [1, 2, 3], "trained": [false, true, true]}"# + "\n" + #"{"tokens": [4, 5]}"# + "\n", to: "samples.jsonl")
    let samples = try BenchSamples.read(path, vocabulary: 10)
    #expect(samples.map(\.ids) == [[1, 2, 3], [4, 5]])
    #expect(samples.map(\.trained) == [[false, true, true], [true, true]])
  }

  @Test(arguments: [
    ("{", "samples.jsonl:1"), (#"{"tokens": []}"#, "two token ids"), (#"{"tokens": [1, "a"]}"#, "two token ids"),
    (#"{"tokens": [1, 10]}"#, "from 0 to 9"), (#"{"tokens": [1, -1]}"#, "from 0 to 9"),
    (#"{"tokens": [1, 2], "trained": [true]}"#, "2 truth values"), ("", "no samples"),
  ])
  func damagedSamplesAreRefused(_ line: String, _ words: String) throws {
    let path = try folder.write(line, to: "samples.jsonl")
    do {
      _ = try BenchSamples.read(path, vocabulary: 10)
      Issue.record("read")
    } catch let error as RecipeError { #expect(error.description.contains(words)) }
  }

  @Test func theMatrixRateIsARate() throws {
    #expect(try MatmulRate.measure(.float32) > 1e8)
  }
}
