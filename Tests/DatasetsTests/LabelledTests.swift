import Testing
import Text

@testable import Datasets

/// Answers that are called good or bad.
@Suite struct LabelledTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  private let user = Message(role: "user", content: "q")
  private let assistant = Message(role: "assistant", content: "a")

  @Test(arguments: [
    #"{"prompt":[{"role":"user","content":"q"}],"completion":[{"role":"assistant","content":"a"}],"label":true}"#,
    #"{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"label":1}"#,
    #"{"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}],"kto_tag":true}"#,
    #"{"instruction":"q","output":"a","label":true}"#,
  ])
  func layoutsSayTheSame(_ row: String) throws {
    let data = try scratch.load("rows.jsonl", row)
    #expect(data.sources[0].format == "kto")
    #expect(data.samples[0].content == .continuation(prompt: [user], completion: [assistant]))
    #expect(data.samples[0].grades == [1])
  }

  @Test func labelsComeAlongToTheBatch() throws {
    let rows = [
      #"{"prompt":"ab","completion":" c","label":false}"#, #"{"prompt":"a","completion":" d","label":true}"#,
    ].joined(separator: "\n")
    let data = try scratch.load("rows.jsonl", rows)
    let encoded = try data.encoded(with: try SampleEncoder(tokenizer: ByteTokenizer(), renderer: nil))
    #expect(encoded.samples.map(\.grade) == [0, 1] && encoded.samples.allSatisfy { $0.rank == 0 })
    let batch = Batch([0, 1], of: encoded.samples)
    #expect(batch.grades == [0, 1] && batch.pairs.isEmpty)
    // A part of a row is what a row of that part alone would be.
    #expect(batch.segments([1]) == Batch([1], of: encoded.samples))
    #expect(batch.segments([1, 0]) == Batch([1, 0], of: encoded.samples))
  }

  @Test(arguments: [
    (#"{"prompt":"a","completion":"b","label":"good"}"#, "true or false"),
    (#"{"messages":[{"role":"user","content":"q"}],"label":true}"#, "does not end in an assistant's turn"),
    (#"{"completion":"b","label":true}"#, "“prompt” is missing"), (#"{"text":"b","label":1}"#, "“prompt” is missing"),
  ])
  func whatIsWrongIsNamed(_ row: String, _ expected: String) throws {
    #expect(complaint { _ = try scratch.load("rows.jsonl", row) }.contains(expected))
  }

  @Test func marginsStandAtTheBetterAnswer() throws {
    let data = try scratch.load("rows.jsonl", #"{"prompt":"a","chosen":" b","rejected":" c","margin":0.5}"#)
    let encoded = try data.encoded(with: try SampleEncoder(tokenizer: ByteTokenizer(), renderer: nil))
    let batch = Batch([0, 1], of: encoded.samples)
    #expect(batch.pairs.count == 1 && batch.margin(of: batch.pairs[0]) == 0.5)
  }
}
