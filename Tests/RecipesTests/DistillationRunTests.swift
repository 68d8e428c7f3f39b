import Checkpoints
import Datasets
import Foundation
import NN
import Objectives
import TestSupport
import Testing
import Text
import Torch
import Training

@testable import Recipes

/// Students beside teachers, from recipe to result.
@Suite struct DistillationRunTests {
  let folder: TemporaryFolder
  private let data: String

  init() throws {
    folder = try TemporaryFolder()
    let rows = (0..<6).map { #"{"prompt": "a b \#($0)", "completion": " c d \#($0 * 3 % 7)"}"# }.joined(separator: "\n")
    data = try folder.write(rows, to: "data.jsonl")
    for name in ["llama-tied", "llama", "qwen3"] { _ = try TinyModels.folder(name, in: folder) }
  }

  private func recipe(
    _ objective: String, method: String = "lora", more: String = "", student: String = "llama-tied"
  ) throws -> Recipe {
    try Recipe(
      """
      model: \(folder.path(student))
      method: \(method)
      objective: \(objective)
      data: {train: \(data), eval_split: 0.2, cache: false\(more)}
      train: {max_steps: 8, batch_size: 2, learning_rate: 1e-2, dtype: f32, device: cpu, log_every: 1}
      output: \(folder.path("run-\(UUID().uuidString)"))
      """)
  }

  private var teacher: String { folder.path("llama") }

  @Test(arguments: ["lora", "full", "prompt_tuning", "{type: lora, target_modules: [lm_head, q_proj]}"])
  func theStudentNearsItsTeacher(_ method: String) throws {
    let result = try TuneRun(try recipe("{type: distill, teacher: \(teacher)}", method: method, student: "qwen3")).run()
    let losses = result.training.rows.compactMap(\.loss)
    #expect(losses.count == 8)
    #expect(try #require(losses.last) < #require(losses.first), "\(losses)")
    let figures = try #require(result.training.rows.compactMap(\.evalFigures).first)
    #expect(figures.keys.sorted() == ["class_loss", "kd_loss"])
  }

  @Test(arguments: [
    "{type: distill, teacher: TEACHER, loss_type: symmetric_kl, sym_kd_ratio: 0.3, kd_ratio: 0.4}",
    "{type: distill, teacher: TEACHER, teacher_quantization: nf4, beta: 0, temperature: 2}",
    "{type: distill, teacher: TEACHER, loss_type: reverse_kl, teacher_adapter: ADAPTER}",
    "{type: distill, teacher_file: some.safetensors, teacher: TEACHER, loss_add_tail: false}",
  ])
  func theRecipeReadsBack(_ objective: String) throws {
    let objective = objective.replacing("TEACHER", with: teacher).replacing("ADAPTER", with: Goldens.url("adapters/lora").path)
    let recipe = try recipe(objective)
    let again = try Recipe(recipe.yaml)
    #expect(again.yaml == recipe.yaml)
    #expect(again.objective.teacher == recipe.objective.teacher)
    #expect((again.objective.objective as? Distillation)?.settings == (recipe.objective.objective as? Distillation)?.settings)
  }

  @Test(arguments: [
    ("distill", "teacher"), ("{type: distill, teacher: x, beta: 1.5}", "beta"),
    ("{type: distill, teacher: x, loss_type: forward_kl, beta: 0.5}", "generalized_jsd"),
    ("{type: distill, teacher: x, sym_kd_ratio: 0.5}", "symmetric_kl"),
    ("{type: distill, teacher: x, loss_add_tail: true}", "teacher_file"),
    ("{type: distill, teacher_file: x, teacher_quantization: nf4}", "those of the capture"),
    ("{type: distill, teacher: x, teacher_quantization: nf5}", "teacher_quantization"),
    ("{type: distill, teacher: x, temprature: 2}", "did you mean “objective.temperature”"),
  ])
  func settingsThatDoNotFitAreRefused(_ objective: String, _ expected: String) throws {
    #expect { try recipe(objective) } throws: { "\($0)".contains(expected) }
  }

  @Test func teachersThatDoNotFitAreRefused() throws {
    func refused(_ objective: String, _ expected: String) throws {
      let run = TuneRun(try recipe(objective))
      #expect {
        try run.check(resuming: false, overwriting: false)
        try run.run()
      } throws: { "\($0)".contains(expected) }
    }
    try refused("{type: distill, teacher: nowhere}", "objective.teacher")
    try refused("{type: distill, teacher_file: nowhere.safetensors}", "objective.teacher_file")
    // Another vocabulary: the first token by another name.
    let other = folder.url.appending(path: "other")
    try FileManager.default.copyItem(at: folder.url.appending(path: "llama"), to: other)
    let file = other.appending(path: "tokenizer.json")
    let text = try String(contentsOf: file, encoding: .utf8)
    try text.replacing("<pad>", with: "<fill>").write(to: file, atomically: true, encoding: .utf8)
    try refused("{type: distill, teacher: \(other.path)}", "“<fill>”")
    // A context that has no room.
    let short = try TemporaryFolder()
    let small = try TinyModels.folder("llama", in: short, contextLength: 4)
    try refused("{type: distill, teacher: \(small.path)}", "lower data.max_length")
  }

  private func capture(topK: Int = 95, temperature: Double = 1, of recipe: Recipe) throws -> String {
    var capture = TeacherCapture(teacher: teacher)
    (capture.topK, capture.temperature, capture.student) = (topK, temperature, recipe.model)
    capture.options = ModelOptions(dtype: .float32, device: .cpu)
    let path = folder.path("teacher-\(topK)-\(temperature).safetensors")
    let report = try capture.write(recipe.data, seed: recipe.train.options.seed, to: URL(filePath: path))
    #expect(report.samples == 6 && report.rows > 6 && report.bytes >= report.rows * topK * 6)
    #expect(report.covered > 0.1 && report.covered <= 1.001)
    return path
  }

  /// With all tokens but one kept, the tail is that one: what the file gives is what the teacher says, up to the rounding of float16.
  @Test(arguments: ["beta: 0", "beta: 0.5", "beta: 0, temperature: 2, kd_ratio: 0.6"], ["", ", packing: true, max_length: 64"])
  func aFileTeachesLikeItsTeacher(_ settings: String, _ packing: String) throws {
    let live = try recipe("{type: distill, teacher: \(teacher), \(settings)}", more: packing)
    let temperature = (live.objective.objective as? Distillation)?.settings.temperature ?? 0
    let file = try capture(temperature: temperature, of: live)
    let stored = try recipe("{type: distill, teacher_file: \(file), teacher: \(teacher), \(settings)}", more: packing)
    let (first, second) = (try TuneRun(live).run().training, try TuneRun(stored).run().training)
    for (one, other) in zip(first.rows, second.rows) {
      let (a, b) = (one.loss ?? one.evalLoss ?? .nan, other.loss ?? other.evalLoss ?? .nan)
      #expect(abs(a - b) <= 2e-3 * max(1, abs(a)), "step \(one.step): \(a) and \(b)")
    }
    #expect(first.rows.count == second.rows.count)
  }

  @Test func filesThatDoNotFitAreRefused() throws {
    let file = try capture(topK: 8, of: try recipe("{type: distill, teacher: \(teacher)}"))
    func refused(_ objective: String, _ expected: String, more: String = "") throws {
      let asked = try recipe(objective, more: more)
      #expect { try TuneRun(asked).run() } throws: { "\($0)".contains(expected) }
    }
    _ = try TuneRun(try recipe("{type: distill, teacher_file: \(file)}")).run()
    try refused("{type: distill, teacher_file: \(file), temperature: 2}", "captured at temperature 1.0")
    try refused("{type: distill, teacher_file: \(file), teacher: \(folder.path("qwen3"))}", "is of")
    try refused("{type: distill, teacher_file: \(file)}", "data.jsonl:1", more: ", mask: all")
    let rows = ["q", "s"].map { #"{"prompt": "\#($0)", "completion": " r"}"# }.joined(separator: "\n")
    let other = try folder.write(rows, to: "other.jsonl")
    var elsewhere = try recipe("{type: distill, teacher_file: \(file)}")
    elsewhere.data.train[0].path = other
    #expect { try TuneRun(elsewhere).run() } throws: { "\($0)".contains("says nothing of this sample") }
    let wrong = folder.url.appending(path: "llama/model.safetensors").path
    try refused("{type: distill, teacher_file: \(wrong)}", "no file of attune distill capture")
    let damaged = folder.path("damaged.safetensors")
    try Data(contentsOf: URL(filePath: file)).dropLast(40).write(to: URL(filePath: damaged))
    #expect(throws: CheckpointError.self) { try TeacherFile(URL(filePath: damaged)) }
  }
}
