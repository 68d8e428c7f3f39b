import Foundation
import Generation
import Testing

@Suite struct SamplingSettingsTests {
  @Test func rangesAreCheckedByName() {
    let wrong: [(String, (inout SamplingSettings) -> Void)] = [
      ("temperature", { $0.temperature = -0.1 }), ("temperature", { $0.temperature = .nan }),
      ("temperature", { $0.temperature = 1e-7 }),
      ("temperature", { $0.temperature = .infinity }), ("top_k", { $0.topK = -1 }), ("top_p", { $0.topP = 0 }),
      ("top_p", { $0.topP = 1.5 }), ("top_p", { $0.topP = .nan }), ("min_p", { $0.minP = -0.5 }), ("min_p", { $0.minP = 2 }),
      ("repetition_penalty", { $0.repetitionPenalty = 0 }), ("max_new_tokens", { $0.maxNewTokens = 0 }),
      ("stop", { $0.stop = ["a", ""] }), ("end_tokens", { $0.endTokens = [2, -3] }),
    ]
    for (name, change) in wrong {
      var settings = SamplingSettings()
      change(&settings)
      let error = #expect(throws: GenerationError.self) { try settings.validate() }
      #expect(error?.description.hasPrefix("“\(name)” must be ") == true)
    }
    #expect(throws: Never.self) { try SamplingSettings().validate() }
  }

  @Test func missingKeysKeepTheirDefaults() throws {
    let text = #"{"temperature": 0.7, "top_k": 40, "stop": ["\n"], "end_tokens": [2, 7]}"#
    let settings = try JSONDecoder().decode(SamplingSettings.self, from: Data(text.utf8))
    var expected = SamplingSettings()
    expected.temperature = 0.7
    expected.topK = 40
    expected.stop = ["\n"]
    expected.endTokens = [2, 7]
    #expect(settings == expected)
    expected.seed = 3
    let encoded = try JSONEncoder().encode(expected)
    #expect(try JSONDecoder().decode(SamplingSettings.self, from: encoded) == expected)
  }
}
