import Testing
import Text

@testable import Datasets

/// Several answers to one prompt, in order or with scores.
@Suite struct RankingTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  private func batch(_ rows: String...) throws -> Batch {
    let data = try scratch.load("rows.jsonl", rows.joined(separator: "\n"))
    #expect(data.sources[0].format == "ranking")
    let encoded = try data.encoded(with: try SampleEncoder(tokenizer: ByteTokenizer(), renderer: nil))
    return Batch(Array(encoded.samples.indices), of: encoded.samples)
  }

  private func places(_ batch: Batch) -> [[Int]] { batch.pairs.map { [$0.better, $0.worse] } }

  @Test func aListIsAllItsPairs() throws {
    let batch = try batch(#"{"prompt":"a","responses":[" b"," c"," d"]}"#, #"{"prompt":"e","responses":[" f"," g"]}"#)
    #expect(batch.ranks == [0, 1, 2, 0, 1])
    #expect(places(batch) == [[0, 1], [0, 2], [1, 2], [3, 4]])
    #expect(batch.pairs.allSatisfy { batch.margin(of: $0) == 0 })
  }

  @Test func scoresGiveOrderAndMargins() throws {
    let batch = try batch(#"{"prompt":"a","responses":[" b"," c"," d"," e"],"scores":[1,5,2.5,1]}"#)
    #expect(batch.grades == [5, 2.5, 1, 1])
    // The two last ones are equally good, so they are no pair.
    #expect(places(batch) == [[0, 1], [0, 2], [1, 2], [0, 3], [1, 3]])
    #expect(batch.pairs.map { batch.margin(of: $0) } == [2.5, 4, 1.5, 4, 1.5])
    #expect(batch.segmentLengths == [3, 3, 3, 3].map { $0 + batch.segmentLengths[0] - 3 })
  }

  @Test func textsAnswerMessages() throws {
    let row = #"{"prompt":[{"role":"user","content":"q"}],"responses":["a",[{"role":"assistant","content":"b"}]]}"#
    let data = try scratch.load("rows.jsonl", row)
    let answer = { (text: String) in
      Sample.Content.continuation(
        prompt: [Message(role: "user", content: "q")], completion: [Message(role: "assistant", content: text)])
    }
    #expect(data.samples[0].content == .ranking([answer("a"), answer("b")]))
  }

  @Test func threeAnswersArePreviewedByTheirPlaces() throws {
    let data = try scratch.load("rows.jsonl", #"{"prompt":"a","responses":[" b"," c"," d"]}"#)
    let previews = try SampleEncoder(tokenizer: ByteTokenizer(), renderer: nil).previews(data.samples[0])
    #expect(previews.map(\.answer) == ["answer 1", "answer 2", "answer 3"])
  }

  @Test(arguments: [
    (#"{"prompt":"a","responses":[" b"]}"#, "holds one answer"),
    (#"{"prompt":"a","responses":[" b",3]}"#, "“responses[1]” is a number"),
    (#"{"prompt":"a","responses":[" b"," c"],"scores":[1]}"#, "holds 1 numbers for 2"),
    (#"{"prompt":"a","responses":[" b"," c"],"scores":[1,1]}"#, "equally good"),
    (#"{"prompt":"a","responses":[" b"," c"],"scores":[1,"2"]}"#, "“scores[1]” is text"),
    (#"{"responses":[" b"," c"]}"#, "“prompt” is missing"),
    (#"{"prompt":[{"role":"user","content":"q"}],"responses":["a",[{"role":"assistant"}]]}"#, "responses[1]"),
  ])
  func whatIsWrongIsNamed(_ row: String, _ expected: String) throws {
    #expect(complaint { _ = try scratch.load("rows.jsonl", row) }.contains(expected))
  }

  @Test func anAnswerThatIsLostTakesTheOthersAlong() throws {
    let data = try scratch.load(
      "rows.jsonl",
      [#"{"prompt":"a","responses":[" b"," c d e f g h"," d"]}"#, #"{"prompt":"a","responses":[" b"," c"]}"#]
        .joined(separator: "\n"))
    let settings = EncodingSettings(maxLength: 8, truncation: .drop)
    let encoded = try data.encoded(with: try SampleEncoder(tokenizer: ByteTokenizer(), renderer: nil, settings: settings))
    #expect(encoded.samples.map(\.index) == [1, 1])
  }
}
