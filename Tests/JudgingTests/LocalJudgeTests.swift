import Foundation
import Generation
import Judging
import NN
import Preferences
import TestSupport
import Testing
import Text
import Torch

@Suite struct LocalJudgeTests {
  private func tokenizer() throws -> BPETokenizer {
    try BPETokenizer(tokenizerJSON: Array(Data(contentsOf: Goldens.url("cli/tokenizer.json"))))
  }

  /// P(A) is what scoring the prompt with A and with B behind it gives, letter by letter.
  @Test func theVerdictIsTheLikelierLetter() throws {
    let model = try TinyModels.load("llama")
    let tokenizer = try tokenizer()
    let judge = LocalJudge(model, tokenizer: tokenizer, rubric: Rubric("short")) { messages in
      // What the tiny model's context has room for.
      Array(tokenizer.encode(messages[0].content ?? "", addSpecialTokens: false).suffix(40))
    }
    let questions = (0..<3).map { Question(prompt: .text("q \($0)"), first: .text("x"), second: .text("y \($0)")) }
    var found: [Int: Judgement] = [:]
    try judge.judge(questions, shouldStop: { false }) { found[$0] = try $1.get() }
    for (place, question) in questions.enumerated() {
      let text = Rubric("short").messages(question, reply: .letter)[0].content ?? ""
      let prompt = Array(tokenizer.encode(text, addSpecialTokens: false).suffix(40))
      let letters = ["A", "B"].map { tokenizer.encode($0, addSpecialTokens: false) }
      let scores = try Scorer(model).score(
        letters.map { prompt + $0 }, wanted: letters.map { Array(prompt.count..<prompt.count + $0.count) })
      let sums = scores.map { $0.reduce(0.0) { $0 + Double($1) } }
      let expected = exp(sums[0]) / (exp(sums[0]) + exp(sums[1]))
      let judgement = try #require(found[place])
      #expect(abs(try #require(judgement.probability) - expected) < 1e-5)
      #expect(judgement.choice == (expected > 0.5 ? .a : .b))
    }
  }

  @Test func questionsThatDoNotFitAreFailures() throws {
    let model = try TinyModels.load("llama")
    let judge = LocalJudge(model, tokenizer: try tokenizer(), rubric: .standard) { _ in
      Array(repeating: 3, count: model.tokenLimit)
    }
    var failures: [JudgeFailure] = []
    try judge.judge([Question(prompt: .text("q"), first: .text("x"), second: .text("y"))], shouldStop: { false }) { _, result in
      if case .failure(let failure) = result { failures.append(failure) }
    }
    #expect(failures.count == 1 && failures[0].description.contains("the judge's context ends at"))
  }
}
