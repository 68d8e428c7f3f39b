import Foundation
import TestSupport
import Testing
import Text

/// Teachers asked and students made from the command line.
@Suite struct DistillTests {
  let folder: TemporaryFolder
  private let model: String
  private let data: String

  init() throws {
    folder = try TemporaryFolder()
    model = try TinyModels.folder("llama-tied", in: folder).path
    data = try folder.write(
      (0..<4).map { #"{"prompt": "a b \#($0)", "completion": " c d"}"# }.joined(separator: "\n"), to: "data.jsonl")
  }

  @Test func aCapturedTeacherIsLearntFrom() throws {
    let recipe = try folder.write(
      """
      model: \(model)
      objective: {type: distill, teacher_file: teacher.safetensors, temperature: 2}
      data: {train: \(data)}
      train: {max_steps: 2, batch_size: 2, device: cpu}
      output: run
      """, to: "recipe.yaml")
    let capture = [
      "distill", "capture", "--model", model, "--temperature", "2", "--top-k", "12", "--output", "teacher.safetensors",
    ]
    let first = try Program.run(arguments: capture + ["--recipe", recipe, "--json"], in: folder)
    #expect(first.status == 0, "\(first.errors)")
    #expect(try first.json["samples"]?.int == 4 && first.json["top_k"]?.int == 12)
    let again = try Program.run(arguments: capture + ["--data", data], in: folder)
    #expect(again.status == 1 && again.errors.contains("--force"))
    #expect(try Program.run(arguments: capture + ["--data", data, "--force"], in: folder).status == 0)
    let tune = try Program.run("tune", recipe, in: folder)
    #expect(tune.status == 0, "\(tune.errors)")
    let wrong = try Program.run("tune", recipe, "--overwrite", "--set", "objective.temperature=1", in: folder)
    #expect(wrong.status == 1 && wrong.errors.contains("captured at temperature 2"))
  }

  /// What the teacher answers is what `generate` answers, in the place of the answers that were there.
  @Test func aTeachersAnswersBecomeData() throws {
    let chat = try folder.write(
      """
      {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "old"}]}
      {"messages": [{"role": "user", "content": "b c"}, {"role": "assistant", "content": "old"}, {"role": "user", "content": "more"}]}
      """, to: "chat.jsonl")
    // The tiny model ends its answers by chance alone; a text that it is sure to write ends them here.
    let sampling = ["--max-new-tokens", "24", "--device", "cpu", "--dtype", "f32", "--seed", "3", "--temperature", "1"]
    let reply = try Program.run(
      arguments: ["generate", "--model", model, "--prompt", "a", "--json"] + sampling, in: folder)
    let text = try #require(try reply.json["text"]?.string)
    let stop = String(text.dropFirst(2).prefix(1))
    let result = try Program.run(
      arguments: ["distill", "generate", "--model", model, "--data", chat, "--output", "answers.jsonl", "--json", "--stop", stop]
        + sampling,
      in: folder)
    #expect(result.status == 0, "\(result.errors)")
    let lines = try String(contentsOfFile: folder.path("answers.jsonl"), encoding: .utf8).split(separator: "\n").map {
      try JSON(parsing: String($0))
    }
    let written = try #require(try result.json["written"]?.int)
    #expect(lines.count == written && written > 0)
    let (unfinished, empty) = (try result.json["unfinished"]?.int ?? 0, try result.json["empty"]?.int ?? 0)
    #expect(written + unfinished + empty == 2)
    let turns = try #require(lines[0]["messages"]?.array)
    #expect(turns.count == 2 && turns[1]["role"]?.string == "assistant")
    #expect(turns[0]["content"]?.string == "a")
    #expect(turns[1]["content"]?.string == text.components(separatedBy: stop)[0])
    let asked = try Program.run(
      arguments: [
        "distill", "generate", "--model", model, "--data", try folder.write("just text", to: "plain.txt"), "--output", "x",
      ],
      in: folder)
    #expect(asked.status == 1 && asked.errors.contains("plain.txt"), "\(asked.errors)")
    #expect(!FileManager.default.fileExists(atPath: folder.path("x")))
  }

  @Test func aStudentIsMade() throws {
    let made = try Program.run(
      "student", "make", "--model", model, "--layers", "1", "--ffn-share", "0.7", "--kv-heads", "1", "--data", data, "--output",
      "small",
      "--json", in: folder)
    #expect(made.status == 0, "\(made.errors)")
    #expect(try made.json["layers"]?.array == [.int(0)] && made.json["heads"]?.int == 2 && made.json["ffn_units"]?.int == 32)
    let answer = try Program.run(
      "generate", "--model", "small", "--prompt", "a b", "--raw", "--max-new-tokens", "3", "--device", "cpu", in: folder)
    #expect(answer.status == 0, "\(answer.errors)")
    let again = try Program.run("student", "make", "--model", model, "--layers", "1", "--output", "small", in: folder)
    #expect(again.status == 1 && again.errors.contains("--force"))
  }

  @Test(arguments: [
    (["distill", "capture", "-m", "x", "-o", "y"], "--recipe or --data"),
    (["distill", "capture", "-m", "x", "-o", "y", "--data", "z", "--top-k", "0"], "--top-k"),
    (["distill", "capture", "-m", "x", "-o", "y", "--recipe", "z", "--max-length", "9"], "--max-length"),
    (["student", "make", "-m", "x", "-o", "y"], "say what is kept"),
    (["student", "make", "-m", "x", "-o", "y", "--kv-heads", "2"], "--data"),
    (["student", "make", "-m", "x", "-o", "y", "--layers", "some"], "--layers"),
  ])
  func wrongCommandLinesAreRefused(_ arguments: [String], _ expected: String) throws {
    let result = try Program.run(arguments: arguments, in: folder)
    #expect(result.status == 2 && result.errors.contains(expected), "\(result.errors)")
  }
}
