import Foundation
import TestSupport
import Testing
import Text

/// Several adapters on one model, and the base each was trained on.
@Suite struct SeveralAdaptersTests {
  private let folder: TemporaryFolder
  private let model: String
  private let adapters: [String]

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder).path
    for name in ["first", "second"] {
      try FileManager.default.copyItem(at: Goldens.url("combine/\(name)"), to: folder.url.appending(path: name))
    }
    adapters = ["--adapter", "first", "--adapter", "second"]
  }

  private func run(_ verb: String, _ options: [String], _ lines: [String]) throws -> [JSON] {
    let result = try Program.run(
      arguments: [verb, "--model", model, "--input", "-", "--output", "-", "--dtype", "f32"] + options,
      input: lines.joined(separator: "\n"), in: folder)
    #expect(result.status == 0, "\(result.errors)")
    return try result.jsonLines
  }

  private func expectClose(_ first: JSON, _ second: JSON) {
    let pairs = Array(zip(first["logprobs"]?.array ?? [], second["logprobs"]?.array ?? []).dropFirst())
    #expect(!pairs.isEmpty)
    for (a, b) in pairs { #expect(abs((a.double ?? .nan) - (b.double ?? .nan)) < 1e-4) }
  }

  @Test func eachLineIsScoredWithItsOwn() throws {
    let tokens = "\"tokens\": [3, 4, 5, 6, 7]"
    let lines = [
      "{\(tokens), \"adapter\": \"second\"}", "{\(tokens), \"adapter\": null}", "{\(tokens), \"adapter\": [\"first\"]}",
      "{\(tokens)}",
      "{\(tokens), \"adapter\": {\"first\": 0.7, \"second\": -0.3}}",
    ]
    let mixed = try run("score", adapters, lines)
    let alone = [
      ["--adapter", "second"], [], ["--adapter", "first"], adapters, ["--adapter", "first=0.7", "--adapter", "second=-0.3"],
    ]
    for (line, options) in zip(mixed, alone) { expectClose(line, try #require(try run("score", options, ["{\(tokens)}"]).first)) }
  }

  @Test func eachPromptIsAnsweredWithItsOwn() throws {
    let lines = ["\"second\"", "null", "\"first\"", "{\"first\": 0.5, \"second\": 0.5}"].map {
      "{\"prompt\": \"abc\", \"adapter\": \($0)}"
    }
    let greedy = ["--temperature", "0", "--max-new-tokens", "6"]
    let mixed = try run("generate", adapters + greedy, lines + ["{\"prompt\": \"b a\", \"adapter\": \"second\"}"])
    let alone = [["--adapter", "second"], [], ["--adapter", "first"], ["--adapter", "first=0.5", "--adapter", "second=0.5"]]
    #expect(mixed.count == 5)
    for (line, options) in zip(mixed, alone) {
      #expect(
        try line["tokens"]?.ids == #require(run("generate", options + greedy, ["{\"prompt\": \"abc\"}"]).first)["tokens"]?.ids)
    }
    #expect(Set(mixed.prefix(3).map { $0["tokens"]?.text() }).count > 1, "the adapters answer differently")
  }

  @Test func wrongRequestsAreNamed() throws {
    func errors(_ line: String, _ options: [String] = ["--adapter", "first"]) throws -> String {
      try Program.run(
        arguments: ["generate", "--model", model, "--input", "-"] + options, input: "\n" + line, in: folder
      ).errors
    }
    #expect(
      try errors("{\"prompt\": \"a\", \"adapter\": \"frist\"}").contains("standard input:2: no --adapter is called “frist”"))
    #expect(try errors("{\"prompt\": \"a\", \"adapter\": \"frist\"}").contains("did you mean “first”?"))
    #expect(try errors("{\"prompt\": \"a\", \"adapter\": 3}").contains("“adapter” must be"))
    #expect(try errors("{\"prompt\": \"a\", \"adapter\": {\"first\": \"x\"}}").contains("which is no number"))
    #expect(try errors("{\"text\": \"a\"}").contains("“prompt” is missing"))
    #expect(try errors("").contains("holds no lines"))
    let both = try Program.run("generate", "--model", model, "--input", "-", "--prompt", "a", in: folder)
    #expect(both.status == 2)
  }

  /// An adapter that noted its base is refused on another, by every verb that takes one.
  @Test func anotherBaseIsRefusedUnlessAskedFor() throws {
    _ = try Program.run("merge", "--model", model, "--adapter", "first", "--output", "tuned", in: folder)
    let extract = try Program.run(
      "adapters", "extract", "--base", model, "--tuned", "tuned", "--rank", "4", "--output", "noted", in: folder)
    #expect(extract.status == 0, "\(extract.errors)")
    let verbs: [[String]] = [
      ["score", "--input", "-", "--output", "-"], ["generate", "--prompt", "a", "--max-new-tokens", "1"],
      ["merge", "--output", "new"],
    ]
    for verb in verbs {
      let line = "{\"tokens\": [3, 4]}"
      let fits = try Program.run(arguments: verb + ["--model", model, "--adapter", "noted"], input: line, in: folder)
      #expect(fits.status == 0, "\(verb): \(fits.errors)")
      #expect(!fits.errors.contains("note: the adapter"))
      try? FileManager.default.removeItem(atPath: folder.path("new"))
      let other = try Program.run(arguments: verb + ["--model", "tuned", "--adapter", "noted"], input: line, in: folder)
      #expect(other.status == 1 && other.errors.contains("was trained on another base than"), "\(verb)")
      let asked = try Program.run(
        arguments: verb + ["--model", "tuned", "--adapter", "noted", "--any-base"], input: line, in: folder)
      #expect(asked.status == 0, "\(verb): \(asked.errors)")
    }
    try folder.write("{\"base\": {}}", to: "noted/attune.json")
    let damaged = try Program.run(
      "score", "--model", model, "--adapter", "noted", "--input", "-", "--output", "-",
      input: "{\"tokens\": [3]}", in: folder)
    #expect(damaged.status == 1 && damaged.errors.contains("base.fingerprint"))
  }

  @Test func aRunNotesItsBaseAndGoesOnWithNoOther() throws {
    try folder.write(
      "{\"prompt\": \"abc\", \"completion\": \" b a\"}\n{\"prompt\": \"b\", \"completion\": \" c a\"}\n", to: "data.jsonl")
    try folder.write(
      """
      model: \(model)
      method: { type: lora, r: 2 }
      data: { train: data.jsonl, max_length: 32 }
      train: { max_steps: 2, batch_size: 1, save_every: 1, dtype: f32 }
      output: run
      """, to: "recipe.yaml")
    let tune = try Program.run("tune", "recipe.yaml", in: folder)
    #expect(tune.status == 0, "\(tune.errors)")
    let inspect = try Program.run("adapters", "inspect", "run", "--model", model, "--json", in: folder).json
    #expect(inspect["is_base"]?.bool == true)
    let list = try Program.run("adapters", "list", "--json", in: folder).json.array ?? []
    #expect(list.map { $0["name"]?.string } == ["first", "run", "second"])
    _ = try Program.run("merge", "--model", model, "--adapter", "first", "--output", "other", in: folder)
    let resumed = try Program.run(
      "tune", "recipe.yaml", "--resume", "--set", "model=other", "--set", "train.max_steps=3", in: folder)
    #expect(resumed.status == 1 && resumed.errors.contains("--any-base"), "\(resumed.errors)")
    let started = try Program.run(
      "tune", "recipe.yaml", "--set", "model=other", "--set", "method={init_from: run/adapter}", "--set", "output=next",
      in: folder)
    #expect(started.status == 1 && started.errors.contains("was trained on another base"), "\(started.errors)")
  }
}
