import Generation
import NN
import TestSupport
import Testing
import Text
import Torch

/// Greedy tokens against transformers.
@Suite struct GreedyTests {
  @Test(arguments: ["llama-tied", "gpt2"]) func aloneAndTogetherEqualTheReference(_ name: String) throws {
    let rows = try GoldenRow.greedy(name)
    #expect(rows.count == 3)
    var generator = Generator(try TinyModels.load(name), tokenizer: SyllableTokenizer())
    let settings = greedySettings(12)
    for row in rows { #expect(try generator.ids([row.prompt], settings) == [row.tokens]) }
    // All together, in pairs of like length, in reverse, and some of them twice.
    let prompts = rows.map(\.prompt)
    #expect(try generator.ids(prompts, settings) == rows.map(\.tokens))
    generator.batchSize = 2
    #expect(try generator.ids(prompts, settings) == rows.map(\.tokens))
    #expect(try generator.ids(prompts.reversed(), settings) == rows.map(\.tokens).reversed())
    generator.batchSize = 5
    #expect(try generator.ids(prompts + prompts.dropLast(), settings) == (rows + rows.dropLast()).map(\.tokens))
  }

  /// The same tokens by whole passes over all tokens so far, without cache, mask or generator.
  @Test(arguments: ["llama-tied", "gpt2"]) func withoutCacheEqualsTheReference(_ name: String) throws {
    let model = try TinyModels.load(name)
    for row in try GoldenRow.greedy(name) {
      var ids = row.prompt
      try withoutGradients {
        for _ in row.tokens {
          let logits = try model.logits(try ModelInput(rows: [ids]))
          ids.append(Int32(try logits.selected(1, ids.count - 1).argmax().item()))
        }
      }
      #expect(ids == row.prompt + row.tokens)
    }
  }

  @Test func windowsPenaltiesAndLogProbsEqualTheReference() throws {
    let cases = try #require(try Goldens.json("generation/greedy-more.json")["cases"]?.array)
    #expect(cases.count == 6)
    for item in cases {
      let name = try #require(item["model"]?.string)
      var settings = greedySettings(16)
      settings.repetitionPenalty = item["settings"]?["repetition_penalty"]?.double ?? 1
      let rows = try #require(item["rows"]?.array).map(GoldenRow.init)
      var generator = Generator(try TinyModels.load(name), tokenizer: SyllableTokenizer())
      for tokensPerPass in [2048, 8] {
        generator.tokensPerPass = tokensPerPass
        let together = try generator.generate(rows.map(\.prompt), settings: settings, wantsLogProbs: true).sequences
        for (row, sequence) in zip(rows, together) {
          #expect(sequence.ids == row.tokens, "\(name), \(row.prompt.count) tokens, \(tokensPerPass) a pass")
          let logProbs = try #require(sequence.logProbs)
          let expected = try #require(row.logProbs)
          #expect(logProbs.count == expected.count)
          #expect(zip(logProbs, expected).allSatisfy { abs(Double($0) - $1) < 1e-4 }, "\(name)")
        }
        for row in rows { #expect(try generator.ids([row.prompt], settings) == [row.tokens], "\(name) alone") }
      }
    }
  }

  @Test func dropoutIsOffAndComesBack() throws {
    let rows = try GoldenRow.greedy("llama-tied")
    let model = try TinyModels.load("llama-tied")
    model.train()
    let generator = Generator(model, tokenizer: SyllableTokenizer())
    #expect(try generator.ids([rows[0].prompt], greedySettings(12)) == [rows[0].tokens])
    #expect(model.isTraining)
  }
}
