import Foundation
import TestSupport
import Testing
import Text

/// `attune reward score`, as a person meets it.
@Suite struct RewardTests {
  private let folder: TemporaryFolder
  private let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder).path
  }

  private func score(_ lines: [String], _ more: String...) throws -> (status: Int32, output: String, errors: String) {
    let arguments = ["reward", "score", "--model", model, "--input", "-", "--output", "-", "--dtype", "f32"] + more
    let result = try Program.run(arguments: arguments, input: lines.joined(separator: "\n"), in: folder)
    return (result.status, result.output, result.errors)
  }

  private var adapter: String { Goldens.url("reward/adapter").path }

  private func numbers(_ output: String) throws -> [Double] {
    try output.split(separator: "\n").map { try #require(try JSON(parsing: String($0))["score"]?.double) }
  }

  @Test func scoresEachLine() throws {
    let result = try score(
      [
        #"{"prompt": "a b", "response": " c"}"#, #"{"prompt": "a b", "completion": " c"}"#, #"{"tokens": [3, 4, 5]}"#,
        #"{"text": "a b c"}"#,
        #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#,
        #"{"prompt": [{"role": "user", "content": "a"}], "response": "b"}"#,
      ], "--adapter", adapter)
    #expect(result.status == 0, "\(result.errors)")
    let found = try numbers(result.output)
    #expect(found.count == 6 && found[0] == found[1] && abs(found[4] - found[5]) < 1e-6 && found[2] != found[3])
    // Alone or together with others, a line scores the same.
    let alone = try numbers(try score([#"{"text": "a b c"}"#], "--adapter", adapter, "--batch-tokens", "1").output)
    #expect(abs(alone[0] - found[3]) < 1e-5)
  }

  @Test func saysWhatIsWrong() throws {
    let none = try score([#"{"tokens": [1]}"#])
    #expect(none.status == 1 && none.errors.contains("no head that scores texts"))
    let lines = [
      #"{"prompt": "a"}"#, #"{"text": "a", "tokens": [1]}"#, #"{"prompt": "a", "response": 3}"#, "{}", #"{"tokens": [1000]}"#,
      #"{"tokens": []}"#,
    ]
    let bad = try score(Array(lines.prefix(4)), "--adapter", adapter)
    #expect(bad.status == 1)
    for text in [":1: has a “prompt” and no", ":2: has “text” and “tokens”", ":3: “completion”", ":4: has none of"] {
      #expect(bad.errors.contains(text), "\(text) in \(bad.errors)")
    }
    let rows = try score(Array(lines.suffix(2)), "--adapter", adapter)
    #expect(rows.errors.contains(":1: has the token 1000") && rows.errors.contains(":2: has no tokens"))
    let generate = try Program.run(
      arguments: ["generate", "--model", model, "--adapter", adapter, "--prompt", "a"], input: "", in: folder)
    #expect(generate.status == 1 && generate.errors.contains("attune reward score"))
  }
}
