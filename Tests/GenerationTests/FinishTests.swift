import Generation
import NN
import TestSupport
import Testing
import Text
import Torch

/// When sequences end, and what of them is shown.
@Suite struct FinishTests {
  private let prompt: [Int32] = [11, 89, 8, 5, 69, 27, 80]

  private func generator(_ name: String = "llama-tied", _ tokenizer: SyllableTokenizer = SyllableTokenizer()) throws -> Generator
  {
    Generator(try TinyModels.load(name), tokenizer: tokenizer)
  }

  @Test func piecesPutTogetherAreTheText() throws {
    let generator = try generator()
    let prompts = [prompt, [60, 28, 80, 62], [27, 13, 21, 13]]
    var pieces = ["", "", ""]
    let output = try generator.generate(prompts, settings: greedySettings(12), onText: { pieces[$0] += $1 })
    #expect(pieces == output.sequences.map(\.text))
    #expect(output.sequences.map(\.finishReason) == [.length, .length, .stopToken])
    for sequence in output.sequences {
      let shown = sequence.finishReason == .stopToken ? Array(sequence.ids.dropLast()) : sequence.ids
      #expect(sequence.text == generator.tokenizer.decode(shown, skipSpecialTokens: true) && !sequence.text.isEmpty)
    }
    #expect(output.timing.promptTokens == 15)
    #expect(output.timing.newTokens == output.sequences.map(\.ids.count).reduce(0, +))
    #expect(output.timing.prefillSeconds > 0 && output.timing.decodeSeconds > 0)
  }

  @Test func halfCharactersWait() throws {
    // Every even token is the first half of “é”, every odd one the second.
    let tokenizer = SyllableTokenizer((0..<93).map { [$0 % 2 == 0 ? 0xC3 : 0xA9] })
    var pieces: [String] = []
    let output = try generator("llama-tied", tokenizer).generate(
      [prompt], settings: greedySettings(12), onText: { pieces.append($1) })
    let sequence = output.sequences[0]
    #expect(pieces.joined() == sequence.text)
    #expect(sequence.text == tokenizer.decode(sequence.ids, skipSpecialTokens: true))
    #expect(sequence.text.contains("é"))
  }

  @Test func stopTextsCrossTokens() throws {
    let generator = try generator()
    let whole = try generator.generate([prompt], settings: greedySettings(12)).sequences[0]
    let text = Array(whole.text)
    for (start, length) in [(0, 1), (1, 2), (3, 4), (5, 7), (10, 3)] {
      let stop = String(text[start..<start + length])
      let found = try #require(whole.text.firstRange(of: stop))
      var settings = greedySettings(12)
      settings.stop = ["never here", stop]
      var pieces: [String] = []
      let sequence = try generator.generate([prompt], settings: settings, onText: { pieces.append($1) }).sequences[0]
      #expect(sequence.finishReason == .stopString)
      #expect(sequence.text == whole.text[..<found.lowerBound], "stop “\(stop)” in “\(whole.text)”")
      #expect(pieces.joined() == sequence.text)
      #expect(whole.ids.starts(with: sequence.ids))
      // The last token is the one that completes the stop text.
      let decode = { (ids: ArraySlice<Int32>) in generator.tokenizer.decode(ids, skipSpecialTokens: true) }
      #expect(decode(sequence.ids[...]).contains(stop) && !decode(sequence.ids.dropLast()).contains(stop))
    }
  }

  @Test func theContextIsTheLimit() throws {
    // gpt2 has learnt 32 positions.
    let generator = try generator("gpt2")
    let prompts = [Array(repeating: Int32(9), count: 30), [9, 8, 7]]
    var settings = greedySettings(100)
    settings.endTokens = []
    let sequences = try generator.generate(prompts, settings: settings).sequences
    #expect(sequences.map(\.finishReason) == [.context, .context])
    #expect(sequences.map(\.ids.count) == [2, 29])
    let error = #expect(throws: GenerationError.self) {
      try generator.generate([[3], Array(repeating: 9, count: 32)], settings: settings)
    }
    #expect(error?.description == "row 1 has 32 tokens, and with a context of 32 the model takes 31; shorten it")
  }

  @Test func aWindowIsNoLimit() throws {
    // mistral's window has 6 tokens, its context 64.
    let generator = try generator("mistral")
    var settings = greedySettings(100)
    settings.endTokens = []
    let sequence = try generator.generate([prompt], settings: settings).sequences[0]
    #expect(sequence.finishReason == .context && sequence.ids.count == 64 - prompt.count)
  }

  @Test func callersCanStop() throws {
    var generator = try generator()
    generator.batchSize = 1
    var settings = greedySettings(12)
    settings.stop = ["zz"]
    var asked = 0
    let output = try generator.generate(
      [prompt, prompt], settings: settings,
      shouldStop: {
        asked += 1
        return asked > 4
      })
    #expect(output.sequences.map(\.finishReason) == [.cancelled, .cancelled])
    // One question before the prompt, one before each token.
    #expect(output.sequences.map(\.ids.count) == [3, 0])
    #expect(output.sequences[0].text == generator.tokenizer.decode(output.sequences[0].ids, skipSpecialTokens: true))
  }

  @Test func wrongPromptsAreNamed() throws {
    let generator = try generator()
    for (prompts, text) in [
      ([[5], []], "row 1 has no tokens"), ([[5, 96]], "row 0 has the token 96 at place 1"), ([[-1]], "row 0 has the token -1"),
    ] as [([[Int32]], String)] {
      let error = #expect(throws: GenerationError.self) { try generator.generate(prompts, settings: greedySettings(3)) }
      #expect(error?.description.hasPrefix(text) == true)
    }
    #expect(throws: GenerationError.self) {
      try generator.generate([[5]], settings: greedySettings(3), streams: [1, 2])
    }
    #expect(try generator.generate([], settings: greedySettings(3)).sequences.isEmpty)
  }

  @Test func brokenWeightsAreNoticed() throws {
    let generator = try generator()
    try withoutGradients { () throws in try generator.model.embedding.weight.fillInPlace(.nan) }
    let error = #expect(throws: GenerationError.self) { try generator.generate([prompt], settings: greedySettings(3)) }
    #expect(error == .notFinite(row: 0, after: 7))
  }
}
