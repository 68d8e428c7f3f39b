import Foundation
import Testing
import Text

@testable import Datasets

@Suite struct InspectionTests {
  /// Nearest-rank quantiles, against numpy's `inverted_cdf`.
  @Test func quantilesAgreeWithNumPy() throws {
    for item in try #require(golden("quantiles.json").array) {
      let values = try #require(item["values"]).ints
      let found = try #require(Quantiles(values))
      #expect([found.p50, found.p90, found.p95, found.p99] == item["quantiles"]?.ints)
      #expect(found.min == values.min() && found.max == values.max() && found.sum == values.reduce(0, +))
    }
    #expect(Quantiles([]) == nil)
  }

  private let data = Dataset([
    .chat("What is up?", "The sky.", line: 1), .chat("What is up?", "The sky.", line: 2), .chat("what is up", "the SKY", line: 3),
    .chat("Empty?", " ", line: 4), .chat("A", "CafÃ©", line: 5), .chat("Nobody answers", line: 6),
    .chat("Long?", String(repeating: "word ", count: 200), line: 7), .chat("Last", "one \u{FFFD}", line: 8),
  ])

  private func lines(_ report: InspectionReport, _ kind: Worry.Kind) -> [Int] {
    report.worries.first { $0.kind == kind }?.shown.map(\.line) ?? []
  }

  @Test func anInspectionFindsWhatIsOdd() throws {
    let eval = Dataset([.chat("WHAT is up!", "The sky", line: 1), .chat("Something else", "Yes", line: 2)])
    let report = data.inspected(with: try encoder(EncodingSettings(maxLength: 200)), eval: eval)
    #expect(report.samples == 8 && report.unit == "tokens")
    #expect(report.duplicates.copies == 1 && report.duplicates.shown[0].map(\.line) == [1, 2])
    #expect(report.nearDuplicates.copies == 1 && report.nearDuplicates.shown[0].map(\.line) == [1, 3])
    #expect(report.evalOverlap?.copies == 1)
    #expect(lines(report, .emptyAnswer) == [4, 6])
    #expect(lines(report, .turnOrder) == [6])
    #expect(lines(report, .damagedText) == [5, 8])
    #expect(lines(report, .untrained) == [6])
    #expect(lines(report, .veryLong) == [7])
    let long = try encoder().tokens(of: data.samples[6]).ids.count
    #expect(report.limit?.longSamples == 1 && report.limit?.lostTokens == long - 200 && report.lengths?.max == long)
    #expect(report.description.contains("max_length 200: 1 samples (12.5 %) are longer"))
    #expect(report.description.contains("  made.jsonl:1 = made.jsonl:2"))
    #expect(try JSONDecoder().decode(InspectionReport.self, from: JSONEncoder().encode(report)) == report)
  }

  @Test func withoutATokenizerBytesAreCounted() {
    let report = data.inspected()
    #expect(report.unit == "bytes" && report.trained == nil && report.limit == nil)
    #expect(lines(report, .unencodable).isEmpty && lines(report, .veryLong) == [7])
  }

  @Test func aPreviewSetsOffWhatIsLearnt() throws {
    let preview = try encoder(tokenizer: ByteTokenizer(merges: ["o k"])).preview(.chat("é", "ok\n"))
    let marked = """
      made.jsonl:1  25 tokens, 3 learnt
      ‹<|im_start|>›|u|s|e|r|↵
      |\\xC3|\\xA9|‹<|im_end|>›|↵
      |‹<|im_start|>›|a|s|s|i|s|t|a|n|t|↵
      |⟦ok|↵
      |‹<|im_end|>›⟧|↵


      """
    #expect(preview.text(.marks) == marked)
    #expect(preview.text(.colours).contains("\u{1B}[32mok\u{1B}[0m"))
    #expect(preview.text(.colours).contains("\u{1B}[1;32m<|im_end|>\u{1B}[0m"))
    #expect(try JSONDecoder().decode(SamplePreview.self, from: JSONEncoder().encode(preview)) == preview)
  }

  @Test func aPreviewSaysWhatIsCutOrLeftOut() throws {
    let cut = try encoder(EncodingSettings(maxLength: 34)).preview(.chat("q", "answer"))
    #expect(cut.text(.marks).hasPrefix("made.jsonl:1  28 tokens, 7 learnt\n"))
    let short = try encoder(EncodingSettings(maxLength: 22)).preview(.chat("q", "answer"))
    #expect(short.text(.marks).hasPrefix("made.jsonl:1  22 tokens, 2 learnt, cut from 28\n"))
    let none = try encoder(EncodingSettings(maxLength: 5)).preview(.chat("q", "answer"))
    #expect(none.text(.marks).contains("left out: cutting takes every token to be learnt"))
    let dangerous = try encoder().preview(Sample(.text("a\u{1B}[2Jb"), location: nowhere))
    #expect(!dangerous.text(.marks).contains("\u{1B}"))
  }
}
