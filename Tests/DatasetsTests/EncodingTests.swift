import Testing
import Text

@testable import Datasets

@Suite struct EncodingTests {
  private func texts(_ lengths: [Int]) -> Dataset {
    Dataset(
      lengths.enumerated().map { index, length in
        Sample(.text(String(repeating: "x", count: length)), location: SourceLocation(file: "t.txt", line: index + 1))
      })
  }

  private func settings(_ limit: Int, _ truncation: Truncation) -> EncodingSettings {
    EncodingSettings(maxLength: limit, truncation: truncation, appendsEndOfText: false)
  }

  /// Of random lengths, what is kept and what is lost make up what was there.
  @Test(arguments: [Truncation.drop, .keepStart, .keepEnd, .split]) func truncationIsAccountedFor(_ truncation: Truncation) throws
  {
    var random = SplitMix64(seed: 5)
    for _ in 0..<50 {
      let limit = 2 + random.below(30)
      let lengths = [1 + limit / 2] + (0..<20).map { _ in 2 + random.below(80) }
      let encoded = try texts(lengths).encoded(with: encoder(settings(limit, truncation)))
      let kept = encoded.samples.reduce(0) { $0 + $1.ids.count }
      let long = lengths.filter { $0 > limit }
      let report = encoded.report
      #expect(report.tokens == lengths.reduce(0, +))
      #expect(kept + report.lostTokens == report.tokens)
      #expect(report.long.count == long.count)
      #expect(encoded.samples.allSatisfy { $0.ids.count <= limit && $0.ids.count == $0.trained.count })
      #expect(report.trainedTokens == encoded.samples.reduce(0) { $0 + $1.targetCount })
      switch truncation {
      case .drop: #expect(report.lostTokens == long.reduce(0, +))
      case .split: #expect(report.lostTokens == long.count { $0 % limit == 1 })
      default: #expect(report.lostTokens == long.reduce(0) { $0 + $1 - limit })
      }
    }
  }

  @Test func keepStartKeepEndAndSplitKeepTheirParts() throws {
    let sample = Sample(.text("abcdefg"), location: nowhere)
    func parts(_ truncation: Truncation) throws -> [String] {
      try encoder(settings(3, truncation)).fit(sample, index: 0).pieces.map {
        String(decoding: $0.ids.map(UInt8.init), as: UTF8.self)
      }
    }
    #expect(try parts(.keepStart) == ["abc"])
    #expect(try parts(.keepEnd) == ["efg"])
    #expect(try parts(.split) == ["abc", "def"])
    #expect(try parts(.drop) == [])
  }

  @Test func unlessChosenTextIsSplitAndTheRestKeepsItsStart() throws {
    let encoder = try encoder(EncodingSettings(maxLength: 25))
    let text = try encoder.fit(Sample(.text(String(repeating: "x", count: 60)), location: nowhere), index: 0)
    #expect(text.pieces.map(\.ids.count) == [25, 25, 11] && text.lostTokens == 0)
    #expect(try encoder.fit(.chat("q", String(repeating: "x", count: 60)), index: 0).pieces.map(\.ids.count) == [25])
  }

  @Test func samplesWithoutTargetsAreLeftOutAndShown() throws {
    let data = Dataset([
      .chat("a", "b"), .chat(String(repeating: "long ", count: 30), "cut off", line: 2), .chat("only a question", line: 3),
    ])
    let encoded = try data.encoded(with: encoder(EncodingSettings(maxLength: 100)))
    #expect(encoded.samples.map(\.index) == [0])
    #expect(encoded.report.untrainedOnceCut.shown.map(\.location.line) == [2])
    #expect(encoded.report.untrained.shown.map(\.description) == ["made.jsonl:3: user: only a question"])
    #expect(encoded.report.description.contains("1 left out: cutting took every token to be learnt:\n  made.jsonl:2: user: long"))
    let strict = #expect(throws: EncodingRefusal.self) {
      try data.encoded(with: encoder(EncodingSettings(maxLength: 100)), strict: true)
    }
    #expect(strict?.reason == .untrained && strict?.count == 2)
  }

  private func reason(_ data: Dataset, _ encoder: SampleEncoder) -> EncodingRefusal.Reason? {
    do {
      _ = try data.encoded(with: encoder)
      return nil
    } catch {
      return (error as? EncodingRefusal)?.reason
    }
  }

  @Test func trainingIsRefusedWhereNothingIsLearnt() throws {
    #expect(reason(Dataset([.chat("a"), .chat("b")]), try encoder()) == .untrained)
    #expect(reason(texts([9, 9]), try encoder(settings(5, .drop))) == .tooLong)
    #expect(reason(texts([9, 4]), try encoder(settings(5, .error))) == .tooLong)
  }

  @Test func trainingIsRefusedWhereTheEndIsNeverLearnt() throws {
    let chat = Dataset([.chat("a", "one answer"), .chat("b", "two answers")])
    #expect(reason(chat, try encoder()) == nil)
    #expect(reason(chat, try encoder(renderer: ChatML(closing: ""))) == .endNeverLearnt)
    #expect(reason(chat, try encoder(EncodingSettings(maxLength: 28))) == .endNeverLearnt)
    #expect(reason(chat, try encoder(EncodingSettings(stopTokens: [0]))) == .endNeverLearnt)
    #expect(reason(chat, try encoder(EncodingSettings(stopTokens: [0, 259]))) == nil)
    let completion = Dataset([Sample(.completion(prompt: "a", completion: "b"), location: nowhere)])
    #expect(reason(completion, try encoder()) == nil)
    #expect(reason(completion, try encoder(tokenizer: ByteTokenizer(special: SpecialTokens()))) == .endNeverLearnt)
    #expect(reason(completion, try encoder(EncodingSettings(appendsEndOfText: false))) == nil)
  }

  @Test func trainingIsRefusedWhereBOSIsDoubled() throws {
    let chat = Dataset([.chat("a", "b")])
    #expect(reason(chat, try encoder(renderer: ChatML(opening: "<s>"))) == nil)
    #expect(reason(chat, try encoder(renderer: ChatML(opening: "<s><s>"))) == .doubledBOS)
    let rendered = Dataset([Sample(.completion(prompt: "<s>a", completion: "b"), location: nowhere)])
    #expect(reason(rendered, try encoder(tokenizer: ByteTokenizer(addsBOS: true))) == .doubledBOS)
    let said = complaint { _ = try rendered.encoded(with: encoder(tokenizer: ByteTokenizer(addsBOS: true))) }
    #expect(said.contains("1 of 1 samples") && said.contains("made.jsonl:1: prompt: <s>a⏎completion: b"))
  }

  @Test func orderStaysWhateverTheNumberOfCores() throws {
    let data = texts((0..<3000).map { 2 + $0 % 50 })
    let encoded = try data.encoded(with: encoder())
    #expect(encoded.samples.map(\.index) == Array(0..<3000))
    #expect(encoded.samples.map(\.ids.count) == (0..<3000).map { 3 + $0 % 50 })
  }

  @Test func unencodableSamplesAreAllNamed() throws {
    let data = Dataset(
      (1...30).map { line in
        Sample(.conversation([Message(role: "narrator", content: "x")]), location: SourceLocation(file: "n.jsonl", line: line))
      })
    let error = try #require(throws: BadRows.self) { try data.encoded(with: encoder()) }
    #expect(error.count == 30 && error.listed.count == 20)
  }

  @Test func aLimitOfOneIsRefused() {
    #expect(complaint { _ = try encoder(EncodingSettings(maxLength: 1)) }.contains("max_length is 1"))
  }
}
