import Evaluation
import Generation
import TestSupport
import Testing
import Text

/// Answers that are generated and compared.
@Suite struct ExactMatchTests {
  @Test func answersAreComparedWithoutCaseAndSpace() throws {
    let generator = Generator(try TinyModels.load("llama-tied"), tokenizer: NumberTokenizer())
    var settings = SamplingSettings()
    settings.maxNewTokens = 4
    settings.endTokens = [2]
    settings.temperature = 0.9
    // transformers continues [27, 13, 21, 13] with 62, 82, 4, 4, 4, 2.
    let items = [
      ExactMatchItem(prompt: [27, 13, 21, 13], answers: ["no", "\n t62 T82 t4 t4"]),
      ExactMatchItem(prompt: [27, 13, 21, 13], answers: ["T62 T82 T4"]), ExactMatchItem(prompt: [27, 13, 21, 13], answers: []),
    ]
    let outcome = try ExactMatch(generator, settings: settings).run(items)
    #expect(outcome.answers == Array(repeating: "T62 T82 T4 T4 ", count: 3), "greedy, whatever the temperature")
    #expect(outcome.isRight == [true, false, false])
    #expect(outcome.accuracy == Proportion(1, of: 3))
    #expect(throws: EvaluationError.self) { try ExactMatch(generator, settings: settings).run([]) }
  }
}

/// A tokenizer that writes each id as `T` with its number.
private struct NumberTokenizer: Tokenizer {
  var vocabularySize: Int { 96 }
  var special: SpecialTokens { SpecialTokens(eos: "T2") }
  func bytes(of id: Int32) -> [UInt8] { Array("T\(id) ".utf8) }
  func token(of id: Int32) -> String? { "T\(id)" }
  func id(of token: String) -> Int32? { Int32(token.dropFirst()) }
  func isSpecial(_ id: Int32) -> Bool { id < 3 }
  func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] { text.split(separator: " ").compactMap { id(of: String($0)) } }
  func decode(_ ids: some Sequence<Int32>, skipSpecialTokens: Bool) -> String {
    ids.filter { !skipSpecialTokens || !isSpecial($0) }.map { "T\($0) " }.joined()
  }
}
