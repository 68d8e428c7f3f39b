import Testing
import Text

@testable import Datasets

/// Two answers to one prompt: as rows, as tokens, as batches.
@Suite struct PreferenceTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  private func encoded(_ rows: String..., maxLength: Int? = nil, truncation: Truncation? = nil) throws -> EncodedDataset {
    let dataset = try scratch.load("rows.jsonl", rows.joined(separator: "\n"))
    let settings = EncodingSettings(maxLength: maxLength, truncation: truncation)
    return try dataset.encoded(with: try SampleEncoder(tokenizer: ByteTokenizer(), renderer: nil, settings: settings))
  }

  @Test func bothAnswersFollowOneAnother() throws {
    let data = try encoded(
      #"{"prompt":"is it","chosen":" yes it is","rejected":" no"}"#, #"{"prompt":"so","chosen":" a","rejected":" b c"}"#)
    #expect(data.samples.map(\.rank) == [0, 1, 0, 1])
    #expect(data.samples.map(\.index) == [0, 0, 1, 1])
    #expect(data.samples.groups == [0..<2, 2..<4])
    #expect(data.report.samples == 2 && data.report.encoded == 4)
    // The prompt is the same, and only the answer is learnt.
    let (better, worse) = (data.samples[0], data.samples[1])
    let prompt = better.trained.prefix { !$0 }.count
    #expect(prompt > 0 && worse.trained.prefix { !$0 }.count == prompt)
    #expect(better.ids.prefix(prompt) == worse.ids.prefix(prompt) && better.ids != worse.ids)
  }

  @Test func previewsShowBothAnswers() throws {
    let dataset = try scratch.load("rows.jsonl", #"{"prompt":"a","chosen":" b","rejected":" cc"}"#)
    let previews = try SampleEncoder(tokenizer: ByteTokenizer(), renderer: nil).previews(dataset.samples[0])
    #expect(previews.map(\.answer) == ["chosen", "rejected"])
    #expect(previews[0].text(.marks).contains("chosen: ") && previews[0].text(.marks).contains("b"))
    #expect(previews[1].tokenCount == previews[0].tokenCount + 1)
    let short = EncodingSettings(maxLength: 4, truncation: .drop)
    let lost = try SampleEncoder(tokenizer: ByteTokenizer(), renderer: nil, settings: short).previews(dataset.samples[0])
    #expect(lost.allSatisfy { $0.leftOut != nil })
  }

  @Test func aPairIsKeptOrLostWhole() throws {
    let long = #"{"prompt":"a b c d e f","chosen":" g","rejected":" h i j k l"}"#
    let short = #"{"prompt":"a","chosen":" b","rejected":" c"}"#
    let data = try encoded(long, short, maxLength: 9, truncation: .drop)
    #expect(data.samples.map(\.index) == [1, 1] && data.samples.map(\.rank) == [0, 1])
    #expect(data.report.long.count == 1)
    #expect { try encoded(long, maxLength: 9, truncation: .split) } throws: { "\($0)".contains("would tear apart") }
  }

  @Test(arguments: BatchPlan.Order.allCases) func batchesTakePairsWhole(_ order: BatchPlan.Order) throws {
    var samples: [EncodedSample] = []
    for pair in 0..<13 {
      for rank in 0..<2 {
        let count = 3 + (pair * 5 + rank * 3) % 7
        samples.append(
          EncodedSample(
            ids: (0..<count).map { Int32($0) }, trained: Array(repeating: true, count: count),
            location: SourceLocation(file: "x", line: pair), index: pair, rank: rank))
      }
    }
    for packedLength in [nil, 24] {
      let loader = try DataLoader(samples: samples, batchSize: 4, packedLength: packedLength, order: order, epochs: 2)
      var seen: [Int: Int] = [:]
      for batch in loader {
        #expect(batch.samples.count.isMultiple(of: 2))
        #expect(batch.ranks == batch.samples.map { $0 % 2 })
        for place in stride(from: 0, to: batch.samples.count, by: 2) {
          #expect(batch.samples[place] + 1 == batch.samples[place + 1])
        }
        for sample in batch.samples { seen[sample, default: 0] += 1 }
        if packedLength == nil { #expect(batch.samples.count <= 8) }
      }
      #expect(seen.count == 26 && seen.values.allSatisfy { $0 == 2 })
    }
  }

  @Test(arguments: [
    (#"{"chosen":"a","rejected":[{"role":"user","content":"q"}]}"#, "is a list while “chosen” is text"),
    (#"{"chosen":"a","rejected":null,"text":"t"}"#, "rejected"),
    (
      #"{"chosen":[{"role":"user","content":"q"}],"rejected":[{"role":"user","content":"r"}]}"#,
      "no turns before the answer in common"
    ), (#"{"prompt":7,"chosen":"a","rejected":"b"}"#, "“prompt”"),
    (#"{"conversations":[{"from":"human","value":"q"}],"chosen":"a","rejected":"b"}"#, "an object with “from” and “value”"),
  ])
  func whatIsNoPairIsRefused(_ row: String, _ expected: String) throws {
    #expect {
      _ = try scratch.load("rows.jsonl", row, format: "preference")
    } throws: { "\($0)".contains(expected) }
  }
}
