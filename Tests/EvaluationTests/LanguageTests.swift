import Evaluation
import Foundation
import Generation
import NN
import TestSupport
import Testing
import Text
import Torch

/// Choices and perplexity against transformers.
@Suite struct LanguageTests {
  static let names = ["llama-tied", "gpt2", "mistral"]

  private func golden(_ name: String) throws -> JSON {
    let cases = try #require(try Goldens.json("evaluation/language.json")["cases"]?.array)
    return try #require(cases.first { $0["model"]?.string == name })
  }

  private func ids(_ json: JSON?) throws -> [Int32] { try #require(json?.array).compactMap { $0.int.map(Int32.init) } }

  private func items(_ name: String) throws -> (items: [ChoiceItem], sums: [[Double]]) {
    let rows = try #require(try golden(name)["items"]?.array)
    let items = try rows.enumerated().map { index, row in
      ChoiceItem(
        prompt: try ids(row["prompt"]), choices: try #require(row["choices"]?.array).map { try ids($0) }, answer: index % 2)
    }
    return (items, try rows.map { try #require($0["log_probs"]?.array).compactMap(\.double) })
  }

  @Test(arguments: names) func choicesEqualTheReference(_ name: String) throws {
    let (items, expected) = try items(name)
    var scorer = ChoiceScorer(try TinyModels.load(name))
    for sharesPrefix in [true, false] {
      for (batchSize, tokensPerPass) in [(32, 2048), (1, 2048), (7, 3), (32, 1)] {
        (scorer.sharesPrefix, scorer.batchSize, scorer.tokensPerPass) = (sharesPrefix, batchSize, tokensPerPass)
        let sums = try scorer.logProbs(items)
        #expect(sums.map(\.count) == expected.map(\.count))
        #expect(
          zip(sums.joined(), expected.joined()).allSatisfy { abs($0 - $1) < 2e-4 },
          "shared \(sharesPrefix), \(batchSize) at once, \(tokensPerPass) a pass")
      }
    }
  }

  @Test func prefixesEndBeforeThePrompts() throws {
    let model = try TinyModels.load("llama-tied")
    let plain = Scorer(model)
    // One prompt begins another, and one item stands alone.
    for prompts in [[[5, 6, 7], [5, 6, 7, 8]], [[5, 6]], [[5], [5, 6]]] as [[[Int32]]] {
      let items = prompts.map { ChoiceItem(prompt: $0, choices: [[9], [10, 11]], answer: 0) }
      for (item, sums) in zip(items, try ChoiceScorer(model).logProbs(items)) {
        for (choice, sum) in zip(item.choices, sums) {
          let scores = try plain.logProbs([item.prompt + choice])[0].suffix(choice.count)
          #expect(abs(sum - scores.reduce(0) { $0 + Double($1 ?? .nan) }) < 1e-4)
        }
      }
    }
  }

  @Test func theLikeliestChoiceIsTaken() throws {
    let (items, sums) = try items("llama-tied")
    let scorer = ChoiceScorer(try TinyModels.load("llama-tied"))
    let labels = ["first", "second", "third", "fourth"]
    let outcome = try ChoiceEvaluation(scorer).run(items, labels: labels)
    #expect(outcome.predictions == sums.map { row in row.indices.max { row[$0] < row[$1] } })
    #expect(outcome.isRight == zip(items, outcome.predictions).map { $0.answer == $1 })
    #expect(outcome.report.accuracy.count == outcome.isRight.count { $0 })
    let losses = zip(items, sums).map { -$1[$0.answer] }
    #expect(abs(outcome.report.meanLoss - losses.reduce(0, +) / 5) < 1e-3)
    let perToken = try ChoiceEvaluation(scorer, normalization: .tokens).run(items, labels: labels)
    let means = zip(items, sums).map { item, row in zip(row, item.choices).map { $0 / Double($1.count) } }
    #expect(perToken.predictions == means.map { row in row.indices.max { row[$0] < row[$1] } })
    #expect(perToken.predictions != outcome.predictions)
    let copy = try JSONDecoder().decode(ChoiceEvaluation.Outcome.self, from: JSONEncoder().encode(outcome))
    #expect(copy == outcome)
  }

  @Test func wrongItemsAreNamed() throws {
    let evaluation = ChoiceEvaluation(ChoiceScorer(try TinyModels.load("gpt2")))
    let right = ChoiceItem(prompt: [5], choices: [[6], [7]], answer: 1)
    for (change, text) in [
      ({ $0.answer = 2 }, "item 1 has 2 choices and the answer 2"), ({ $0.choices = [] }, "item 1 has 0 choices"),
      ({ $0.choices = [[6], []] }, "row 1 has no tokens in choice 1"), ({ $0.prompt = [] }, "row 1 has no tokens"),
      ({ $0.choices = [[6], Array(repeating: 7, count: 32)] }, "row 1 has 33 tokens"),
      ({ $0.choices = [[6], [96]] }, "row 1 has the token 96"),
    ] as [((inout ChoiceItem) -> Void, String)] {
      var wrong = right
      change(&wrong)
      let error = #expect(throws: (any Error).self) { try evaluation.run([right, wrong], labels: ["a", "b"]) }
      #expect(error.map { "\($0)".hasPrefix(text) } == true, "\(text)")
    }
    #expect(throws: EvaluationError.self) { try evaluation.run([], labels: ["a"]) }
  }

  @Test(arguments: names) func perplexityInWindowsEqualsTheReference(_ name: String) throws {
    let text = try #require(try golden(name)["text"])
    let tokens = try ids(text["tokens"])
    let measure = try TextPerplexity(
      Scorer(try TinyModels.load(name)), window: try #require(text["window"]?.int), stride: try #require(text["stride"]?.int))
    let outcome = try measure.run(tokens, byteCount: 80)
    #expect(outcome.loss.tokens == 39)
    #expect(abs(outcome.loss.total - (try #require(text["loss"]?.double))) < 1e-3)
    #expect(abs(outcome.perplexity - exp(outcome.loss.total / 39)) < 1e-9 * outcome.perplexity)
    #expect(abs(outcome.bitsPerByte - outcome.loss.total / (80 * log(2))) < 1e-9)
  }

  @Test func windowsAreChecked() throws {
    let scorer = Scorer(try TinyModels.load("gpt2"))
    for (window, stride) in [(33, 5), (1, 1), (8, 8), (8, 0)] {
      #expect(throws: EvaluationError.self) { try TextPerplexity(scorer, window: window, stride: stride) }
    }
    let measure = try TextPerplexity(scorer)
    #expect(measure.window == 32 && measure.stride == 16)
    #expect(throws: EvaluationError.self) { try measure.run([5], byteCount: 1) }
  }
}
