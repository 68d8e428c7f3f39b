import Foundation
import OrderedCollections
import TestSupport
import Testing
import Text

@Suite struct ScoreTests {
  let folder: TemporaryFolder
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder).path
  }

  /// Compares lines of the output with the golden ones.
  private func compare(_ lines: [JSON], _ golden: [JSON]) {
    #expect(lines.count == golden.count)
    for (line, wanted) in zip(lines, golden) {
      #expect(line.object.map { Array($0.keys) } == ["tokens", "logprobs"])
      #expect(line["tokens"]?.ids == wanted["tokens"]?.ids)
      let (own, theirs) = (line["logprobs"]?.array ?? [], wanted["logprobs"]?.array ?? [])
      #expect(own.count == theirs.count)
      #expect(own.first.map(\.isNull) ?? true)
      for (a, b) in zip(own, theirs).dropFirst() { #expect(abs((a.double ?? .nan) - (b.double ?? .nan)) < 1e-4) }
    }
  }

  @Test func theInputIsNotWrittenOver() throws {
    let input = try folder.write(#"{"text": "the"}"#, to: "in.jsonl")
    let result = try Program.run("score", "--model", model, "--input", input, "--output", "in.jsonl", in: folder)
    #expect(result.status == 1)
    #expect(result.errors.hasPrefix("error: --output: in.jsonl is the input"))
    #expect(try String(contentsOfFile: input, encoding: .utf8) == #"{"text": "the"}"#)
  }

  @Test func textsAreScoredAsTheReferenceDoes() throws {
    let golden = try expected()["scores"]?.array ?? []
    let lines = golden.map { (["text": $0["text"] ?? .null, "id": 3] as JSON).text() }
    let input = try folder.write(lines.joined(separator: "\n\n") + "\n", to: "in.jsonl")
    let result = try Program.run(
      "score", "--model", model, "--input", input, "--output", folder.path("out.jsonl"), "--dtype", "f32", in: folder)
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.isEmpty)
    let output = try String(contentsOfFile: folder.path("out.jsonl"), encoding: .utf8)
    compare(try output.split(separator: "\n").map { try JSON(parsing: String($0)) }, golden)
  }

  @Test(arguments: ["1", "12", "4096"])
  func tokensAreScoredWithAnAdapterInBatchesOfAnySize(_ batch: String) throws {
    let golden = try expected()["scores_with_adapter"]?.array ?? []
    let lines = golden.map { (["tokens": $0["tokens"] ?? .null] as JSON).text() + "\n" }
    let result = try Program.run(
      "score", "--model", model, "--adapter", Goldens.url("adapters/lora").path, "--input", "-", "--output", "-", "--dtype",
      "f32",
      "--batch-tokens", batch, input: lines.joined(), in: folder)
    #expect(result.status == 0, "\(result.errors)")
    compare(try result.jsonLines, golden)
  }

  @Test func tokensNeedNoTokenizer() throws {
    let bare = try TinyModels.folder("gpt2", in: folder, withTokenizer: false).path
    let result = try Program.run(
      "score", "--model", bare, "--input", "-", "--output", "-", input: #"{"tokens": [5, 6, 7]}"#, in: folder)
    #expect(result.status == 0, "\(result.errors)")
    #expect(try result.jsonLines[0]["logprobs"]?.array?.count == 3)
  }

  @Test func everyBadLineIsNamedAndNothingIsWritten() throws {
    let input = try folder.write(
      """
      {"text": "fine"}
      {"text": 4}
      {"tokens": [1, "x"]}

      {"other": 1}
      not json
      """, to: "bad.jsonl")
    let result = try Program.run("score", "--model", model, "--input", input, "--output", folder.path("out.jsonl"), in: folder)
    #expect(result.status == 1)
    for line in [2, 3, 5, 6] { #expect(result.errors.contains("bad.jsonl:\(line):")) }
    #expect(!result.errors.contains("bad.jsonl:1:"))
    #expect(!FileManager.default.fileExists(atPath: folder.path("out.jsonl")))
  }

  @Test func aLineTheModelCannotTakeIsNamed() throws {
    let rows = [
      #"{"tokens": [1, 2]}"#, #"{"tokens": [1, 96]}"#,
      "{\"tokens\": [\(Array(repeating: "1", count: 65).joined(separator: ","))]}",
    ]
    let result = try Program.run(
      "score", "--model", model, "--input", "-", "--output", "-", input: rows.joined(separator: "\n"), in: folder)
    #expect(result.status == 1)
    #expect(result.output.isEmpty)
    #expect(result.errors.contains("standard input:2: has the token 96"))
    #expect(result.errors.contains("standard input:3: has 65 tokens"))
  }

  @Test func anEmptyFileIsRefused() throws {
    let input = try folder.write("\n \n", to: "empty.jsonl")
    let result = try Program.run("score", "--model", model, "--input", input, "--output", "-", in: folder)
    #expect(result.status == 1)
    #expect(result.errors == "error: \(input): holds no lines; give {\"text\": …} or {\"tokens\": […]} on each\n")
  }
}
