import Checkpoints
import Foundation
import Generation
import NN
import TestSupport
import Testing
import Text
import Torch

/// Scores against the logits of transformers.
@Suite struct ScorerTests {
  /// The golden rows, and ln softmax of their golden logits at the token that comes next.
  private func golden(_ name: String) throws -> (rows: [[Int32]], scores: [[Double]]) {
    let file = try Goldens.tensors("models/\(name)/expected.safetensors")
    let ids: [Int32] = try file.tensor("input_ids").array()
    let rows = [Array(ids[..<16]), Array(ids[16...])]
    let logits = try file.tensor("logits").to(.float64).logSoftmax()
    let scores = try rows.enumerated().map { index, row in
      let next = try Tensor(row.dropFirst().map(Int64.init)).unsqueezed(-1)
      return try logits.selected(0, index).narrowed(0, 0..<15).gathered(-1, next).array(Double.self)
    }
    return (rows, scores)
  }

  @Test(arguments: ["llama-tied", "gpt2", "mistral", "qwen2-window", "llama3-rope"], [4096, 20, 1])
  func equalTheReference(_ name: String, _ tokensPerPass: Int) throws {
    let (rows, expected) = try golden(name)
    var scorer = Scorer(try TinyModels.load(name))
    scorer.tokensPerPass = tokensPerPass
    // Rows of other lengths in between, of which a token sees nothing.
    let scores = try scorer.logProbs([rows[0], [], [7], Array(rows[1].prefix(9)), rows[1]])
    #expect(scores[1].isEmpty && scores[2] == [nil])
    for (row, wanted) in [(0, expected[0]), (3, Array(expected[1].prefix(8))), (4, expected[1])] {
      #expect(scores[row].first == .some(nil))
      let found = scores[row].compactMap { $0 }
      #expect(found.count == wanted.count)
      #expect(zip(found, wanted).allSatisfy { abs(Double($0) - $1) < 1e-4 })
    }
  }

  @Test(arguments: ["gpt2", "llama", "mistral", "qwen3"]) func lossEqualsTheReference(_ name: String) throws {
    let file = try Goldens.tensors("models/\(name)/expected.safetensors")
    let labels: [Int32] = try file.tensor("labels").array()
    let rows = try golden(name).rows
    let samples = rows.enumerated().map { index, row in
      (ids: row, trained: labels[index * 16..<index * 16 + 16].map { $0 != -100 })
    }
    let loss = try Scorer(try TinyModels.load(name)).loss(samples + [(ids: [4, 5], trained: [true, false])])
    #expect(abs(loss.mean - (try file.tensor("loss").item())) < 1e-5)
    #expect(loss.tokens == (0..<32).count { $0 % 16 != 0 && labels[$0] != -100 })
    #expect(abs(loss.perplexity / exp(loss.mean) - 1) < 1e-12)
  }

  @Test func wrongRowsAreNamed() throws {
    let scorer = Scorer(try TinyModels.load("gpt2"))
    let long = #expect(throws: GenerationError.self) { try scorer.logProbs([[1], Array(repeating: 3, count: 33)]) }
    #expect(long?.description.hasPrefix("row 1 has 33 tokens") == true)
    #expect(throws: GenerationError.self) { try scorer.loss([(ids: [1, 2], trained: [true])]) }
    #expect(try scorer.loss([]) == LossSummary())
  }
}
