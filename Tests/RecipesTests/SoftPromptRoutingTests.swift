import Foundation
import Generation
import NN
import TestSupport
import Testing
import Text
import Torch
import Tuners

@testable import Recipes

/// Rows of one batch with soft prompts of their own give what each gives alone.
@Suite struct SoftPromptRoutingTests {
  /// What a row asks for.
  struct Request: Sendable {
    let uses: [AdapterUse]
    var task: Int?
    let tokens: [Int32]

    init(_ names: [String], _ task: Int? = nil, _ tokens: Int32...) {
      (uses, self.task, self.tokens) = (names.map { AdapterUse($0) }, task, tokens)
    }
  }

  /// A model, adapters by the folder of their golden, and rows: those of one kind of prompt apart from each other, others between them.
  struct Batch: Sendable, CustomTestStringConvertible {
    let model: String
    let adapters: [String]
    let requests: [Request]
    var testDescription: String { "\(model), \(adapters.count) adapters" }
  }

  static let batches = [
    Batch(
      model: "llama-tied",
      adapters: [
        "soft-prompts/prompt-tuning-llama", "soft-prompts/p-tuning-lstm-llama", "soft-prompts/prefix-tuning-llama",
        "soft-prompts/prefix-projection-llama", "soft-prompts/multitask-llama", "combine/first",
      ],
      requests: [
        Request(["prompt-tuning-llama"], nil, 5, 9, 30, 31), Request([], nil, 5, 9, 30, 31),
        Request(["prefix-tuning-llama"], nil, 5, 9, 30, 31, 12, 8), Request(["multitask-llama"], 2, 7, 7, 40),
        Request(["prompt-tuning-llama", "prefix-tuning-llama", "p-tuning-lstm-llama"], nil, 60, 61),
        Request(["multitask-llama"], 0, 7, 7, 40), Request(["first"], nil, 5, 9, 30, 31),
        Request(["first", "p-tuning-lstm-llama"], nil, 11, 12, 13, 14), Request(["prefix-projection-llama"], nil, 5, 9),
        Request(["prompt-tuning-llama"], nil, 5, 9, 30, 31), Request(["prompt-tuning-llama"], nil, 3, 4),
        Request([], nil, 20, 21),
      ]),
    // Rows that fill the context, though not with the virtual tokens of others before them.
    Batch(
      model: "gpt2",
      adapters: [
        "soft-prompts/prompt-tuning-gpt2", "soft-prompts/p-tuning-mlp-gpt2", "soft-prompts/prefix-projection-gpt2",
      ],
      requests: [
        Request(["prefix-projection-gpt2"], nil, 9, 8, 30), Request(["prompt-tuning-gpt2"], nil, 9, 8, 30),
        Request(
          [], nil, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
          32, 33,
          34),
        Request(["p-tuning-mlp-gpt2", "prefix-projection-gpt2"], nil, 9, 8, 30, 77),
      ]),
    // A window that is shorter than a row with its virtual tokens.
    Batch(
      model: "mistral", adapters: ["soft-prompts/prompt-tuning-window", "soft-prompts/prefix-tuning-window"],
      requests: [
        Request(["prefix-tuning-window"], nil, 5, 6, 7, 8, 9, 10), Request([], nil, 5, 6, 7, 8, 9, 10),
        Request(["prompt-tuning-window"], nil, 5, 6, 7, 8, 9, 10),
        Request(["prompt-tuning-window", "prefix-tuning-window"], nil, 11, 12, 13),
      ]),
  ]

  private func set(_ batch: Batch, dtype: DType = .float32) throws -> AdapterSet {
    let set = try AdapterSet(try TinyModels.load(batch.model, dtype: dtype))
    for path in batch.adapters {
      try AdapterFolder.load(Goldens.url(path), into: set, named: String(path.split(separator: "/")[1]))
    }
    try set.activate([])
    return set
  }

  /// Runs `body` with the adapters of one request at work on everything.
  private func alone<Result>(_ request: Request, _ set: AdapterSet, _ body: () throws -> Result) throws -> Result {
    try set.activate(uses: request.uses)
    set.model.prompts.task = request.task ?? 0
    defer { set.model.prompts.task = 0 }
    let result = try body()
    try set.activate([])
    return result
  }

  @Test(arguments: batches) func scoresAreThoseOfEachAlone(batch: Batch) throws {
    let set = try set(batch)
    var scorer = Scorer(set.model)
    let wanted = try batch.requests.map { request in
      try alone(request, set) { try scorer.logProbs([request.tokens])[0] }
    }
    for tokensPerPass in [4096, 7] {
      scorer.tokensPerPass = tokensPerPass
      let together = try set.routing(batch.requests.map(\.uses), tasks: batch.requests.map(\.task)) { routing in
        scorer.routing = routing
        return try scorer.logProbs(batch.requests.map(\.tokens))
      }
      for (index, (own, wanted)) in zip(together, wanted).enumerated() {
        #expect(own.count == wanted.count)
        for (a, b) in zip(own, wanted).dropFirst() {
          #expect(abs((a ?? .nan) - (b ?? .nan)) < 2e-5, "row \(index), \(tokensPerPass) a pass")
        }
      }
      scorer.routing = nil
    }
    #expect(set.model.prompts.routing == nil && set.active.isEmpty)
  }

  /// Also where prompts are read in pieces, and where rows leave the batch one after the other.
  @Test(arguments: batches) func answersAreThoseOfEachAlone(batch: Batch) throws {
    let set = try set(batch)
    let tokenizer = try BPETokenizer(tokenizerJSON: Array(try Data(contentsOf: Goldens.url("cli/tokenizer.json"))))
    var generator = Generator(set.model, tokenizer: tokenizer)
    var settings = SamplingSettings()
    (settings.temperature, settings.maxNewTokens, settings.endTokens) = (0, 6, [1])
    let requests = batch.requests.filter { $0.tokens.count < 20 }
    let wanted = try requests.map { request in
      try alone(request, set) { try generator.generate([request.tokens], settings: settings, wantsLogProbs: true).sequences[0] }
    }
    for (tokensPerPass, batchSize) in [(2048, 16), (3, 16), (2048, 3)] {
      (generator.tokensPerPass, generator.batchSize) = (tokensPerPass, batchSize)
      let together = try set.routing(requests.map(\.uses), tasks: requests.map(\.task)) { routing in
        generator.routing = routing
        return try generator.generate(requests.map(\.tokens), settings: settings, wantsLogProbs: true).sequences
      }
      generator.routing = nil
      for (own, wanted) in zip(together, wanted) {
        #expect(own.ids == wanted.ids && own.finishReason == wanted.finishReason)
        for (a, b) in zip(own.logProbs ?? [], wanted.logProbs ?? []) { #expect(abs(a - b) < 2e-5) }
      }
    }
    #expect(Set(wanted.map(\.ids)).count > 2, "the prompts answer differently")
  }

  @Test func inBfloat16() throws {
    let batch = Self.batches[0]
    let set = try set(batch, dtype: .bfloat16)
    var scorer = Scorer(set.model)
    let wanted = try batch.requests.map { request in try alone(request, set) { try scorer.logProbs([request.tokens])[0] } }
    let together = try set.routing(batch.requests.map(\.uses), tasks: batch.requests.map(\.task)) { routing in
      scorer.routing = routing
      return try scorer.logProbs(batch.requests.map(\.tokens))
    }
    for (own, wanted) in zip(together, wanted) {
      for (a, b) in zip(own, wanted).dropFirst() { #expect(abs((a ?? .nan) - (b ?? .nan)) < 0.1) }
    }
  }

  /// A row may be as long as its own virtual tokens leave room for.
  @Test func theContextIsThatOfEachRow() throws {
    let batch = Self.batches[1]
    let set = try set(batch)
    let row = [Int32](repeating: 5, count: 30)
    var scorer = Scorer(set.model)
    func score(_ adapters: [String]...) throws {
      _ = try set.routing(adapters.map { $0.map { AdapterUse($0) } }) { routing in
        scorer.routing = routing
        return try scorer.logProbs(adapters.map { _ in row })
      }
    }
    try score([], [])
    #expect { try score([], ["prompt-tuning-gpt2"]) } throws: {
      "\($0)".contains("row 1 has 30 tokens") && "\($0)".contains("5 of them virtual") && "\($0)".contains("takes 27")
    }
    #expect(set.virtualTokens(of: [AdapterUse("prompt-tuning-gpt2"), AdapterUse("prefix-projection-gpt2")]) == 10)
  }

  @Test func whatDoesNotFit() throws {
    let set = try set(Self.batches[0])
    let rows = [[5, 6], [7]] as [[Int32]]
    func pass(_ announced: [(request: Int, count: Int)], task: Int? = nil) throws {
      try set.routing([[AdapterUse("prompt-tuning-llama")], [AdapterUse("multitask-llama")]], tasks: [nil, task]) { routing in
        routing.route(announced)
        _ = try set.model.hidden(
          try ModelInput(flat: rows.flatMap(\.self), positions: [0, 1, 0], segments: rows.map(\.count)))
      }
    }
    try pass([(0, 2), (1, 1)])
    #expect { try pass([(0, 3)]) } throws: { "\($0)".contains("2 rows of tokens begin, and 1 were announced") }
    #expect { try pass([(0, 2), (1, 1)], task: 3) } throws: { "\($0)".contains("num_tasks") }
    #expect { try set.routing([[AdapterUse("prompt-tuning-llama", weight: 0.5)]]) { _ in } } throws: {
      "\($0)".contains("cannot take part with a weight")
    }
    #expect(set.model.prompts.routing == nil)
  }
}
