import Foundation
import TestSupport
import Testing
import Text

@Suite struct JudgeTests {
  let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    let rows = (0..<4).map { #"{"prompt": "Q \#($0)?", "answers": ["good \#($0)", "bad \#($0)"]}"# }
    try folder.write(rows.joined(separator: "\n"), to: "pairs.jsonl")
  }

  private func judge(_ arguments: String..., environment: [String: String] = [:]) throws -> Program.Result {
    try Program.run(
      arguments: ["judge", "--store", "s.sqlite", "--input", "pairs.jsonl"] + arguments, in: folder, environment: environment)
  }

  @Test func anEndpointsVerdictsBecomePreferences() throws {
    let endpoint = try StubEndpoint { .text(#"{"verdict": "\#($0.answer("A").hasPrefix("good") ? "A" : "B")"}"#) }
    let result = try judge(
      "--endpoint", endpoint.base, "--model", "stub", "--output", "p.jsonl", "--rubric", "Good is better.", "--json",
      environment: ["OPENAI_API_KEY": "secret-key"])
    #expect(result.status == 0, "\(result.errors)")
    #expect(try result.json["preferences"] == 4 && result.json["consistent"] == 4 && result.json["chose_first"] == 4)
    #expect(endpoint.requests.allSatisfy { $0.headers["authorization"] == "Bearer secret-key" })
    #expect(endpoint.requests[0].question.contains("Judge by this: Good is better."))
    let rows = try String(contentsOfFile: folder.path("p.jsonl"), encoding: .utf8).split(separator: "\n")
    #expect(rows.count == 4 && rows.allSatisfy { $0.contains(#""chosen":"good"#) })
    // The key is nowhere to be found.
    let store = try Data(contentsOf: URL(filePath: folder.path("s.sqlite")))
    #expect(store.range(of: Data("secret-key".utf8)) == nil && !(result.output + result.errors).contains("secret-key"))
    // People and judges share the store.
    _ = try Program.run(arguments: ["label", "--store", "s.sqlite", "--rater", "ann"], input: "aaaa", in: folder)
    let stats = try Program.run(arguments: ["label", "stats", "--store", "s.sqlite"], in: folder)
    #expect(stats.output.contains("judge stub, ann"))
  }

  @Test func aLocalModelJudges() throws {
    let model = try TinyModels.folder("llama-tied", in: folder, contextLength: 4096)
    let first = try judge("--model", model.path, "--dtype", "f32", "--output", "p.jsonl", "--json")
    #expect(first.status == 0, "\(first.errors)")
    #expect(try first.json["judged"] == 8 && first.json["failed"] == 0)
    let again = try judge("--model", model.path, "--dtype", "f32", "--json")
    #expect(try again.json["judged"] == 0 && again.json["preferences"] == first.json["preferences"])
    let other = try judge("--model", model.path, "--dtype", "f32", "--rubric", "Another one.")
    #expect(other.status == 1 && other.errors.contains("with another rubric"))
  }

  @Test func aJudgeThatRefusesIsAnError() throws {
    let endpoint = try StubEndpoint { _ in .status(401, body: #"{"error": {"message": "who are you?"}}"#) }
    let result = try judge("--endpoint", endpoint.base, "--model", "stub", "--concurrency", "1")
    #expect(result.status == 1)
    #expect(result.errors.contains("status 401: who are you?"))
  }

  @Test func wrongCommandLines() throws {
    for arguments in [
      ["--model", "m", "--timeout", "3"], ["--endpoint", "ftp://x", "--model", "m"],
      ["--endpoint", "http://x", "--model", "m", "--adapter", "a"], ["--model", "m", "--tie-margin", "0.1"],
      ["--endpoint", "http://x", "--model", "m", "--request", "[1]"],
      ["--endpoint", "http://x", "--model", "m", "--attempts", "0"],
    ] {
      #expect(try Program.run(arguments: ["judge", "--store", "s.sqlite"] + arguments, in: folder).status == 2, "\(arguments)")
    }
  }
}
