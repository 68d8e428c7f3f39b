import Datasets
import Foundation
import NN
import OrderedCollections
import TestSupport
import Testing
import Text
import Torch
import Training
import Tuners

@testable import Objectives

/// Ten steps of a student beside its teacher against TRL's GKDTrainer, and the ways to the same loss against one another.
@Suite struct DistillationReferenceTests {
  private let golden: JSON

  init() throws { golden = try Goldens.json("distillation/runs.json") }

  private func samples() throws -> [EncodedSample] {
    (try Goldens.json("training/samples.json")["samples"]?.array ?? []).enumerated().map { index, sample in
      let ids = (sample["input_ids"]?.array ?? []).compactMap(\.int).map(Int32.init)
      var trained = (sample["labels"]?.array ?? []).compactMap(\.int).map { $0 >= 0 }
      trained[0] = false
      return EncodedSample(
        ids: ids, trained: trained, location: SourceLocation(file: "samples.json", line: index + 1), index: index)
    }
  }

  @Test func stepsAreTheReferences() throws {
    let runs = try #require(golden["runs"]?.object)
    #expect(runs.count == 4)
    for (name, run) in runs {
      let folder = try TemporaryFolder()
      let set = try AdapterSet(try TinyModels.load("llama-tied"))
      let adapter = try AdapterFolder.load(Goldens.url("training/llama-tied/initial_adapter"), into: set)
      var settings = DistillationSettings()
      settings.beta = try #require(run["settings"]?["beta"]?.double)
      var options = TrainingOptions()
      options.learningRate = try #require(golden["learning_rate"]?.double)
      (options.schedule, options.maxGradientNorm, options.logEvery, options.maxSteps) = (.constant, 1, 1, 10)
      options.gradientAccumulation = run["settings"]?["gradient_accumulation_steps"]?.int ?? 1
      let loader = try DataLoader(
        samples: try samples(), batchSize: try #require(golden["batch_size"]?.int), order: .sequential, epochs: 2)
      let trainer = try Trainer(
        model: set.model, part: adapter.tunedPart(base: "llama-tied"),
        objective: Distillation(settings).taught(by: LiveTeacher(try TinyModels.load("llama"))), loader: loader, evalSamples: [],
        options: options, output: folder.url)
      let rows = try trainer.run(resuming: false).rows
      let losses = (run["losses"]?.array ?? []).compactMap(\.double)
      #expect(rows.count == 10 && losses.count == 10)
      for (row, loss) in zip(rows, losses) {
        #expect(abs(try #require(row.loss) - loss) <= 1e-4 * loss, "\(name), step \(row.step): \(row.loss ?? .nan) for \(loss)")
        #expect(abs(try #require(row.figures?["kd_loss"]) - loss) <= 1e-4 * loss)
      }
    }
  }

  /// A head that is more than a product goes another way: both ways give the same sums and the same gradients of the rows, also where
  /// the teacher's rows of no token are more than the student's.
  @Test func anAdaptedHeadGivesTheSame() throws {
    let (student, teacher) = (try TinyModels.load("llama"), try TinyModels.load("llama-tied"))
    let hidden = try Tensor.pattern([9, 32], scale: 2)
    let targets = try Tensor((0..<9).map { Int64($0 * 5 % 96) })
    let taught = try Tensor.pattern([9, 32], seed: 4, scale: 2)
    var settings = DistillationSettings()
    (settings.ratio, settings.temperature) = (0.7, 1.5)
    let (own, theirs) = (student.head, teacher.head)
    func sums(_ chunk: Int?) throws -> Differentiated {
      try differentiate([hidden], cotangent: try Tensor([1, 0, 0] as [Float])) {
        try student.distillation(
          $0[0], .hidden(taught, head: teacher.head), targets: targets, settings: settings, chunk: chunk)
      }
    }
    let fused = try sums(4)
    for (first, second) in [(true, false), (false, true), (true, true)] {
      student.head = first ? Indirect(own) : own
      teacher.head = second ? Indirect(theirs) : theirs
      let plain = try sums(4)
      try assertClose(plain.value, fused.value, relative: 1e-6)
      try assertClose(try #require(plain.gradients[0]), try #require(fused.gradients[0]), relative: 1e-5)
    }
    student.head = own
    let weight = try theirs.denseWeight()
    teacher.head = Linear(weight: try .concatenated([weight, try .ones([3, 32])], 0), bias: nil)
    try assertClose(try sums(nil).value, fused.value, relative: 1e-6)
  }

  @Test func withoutATeacherNothingIsLearnt() throws {
    let batch = Batch([0], of: try samples())
    #expect(throws: TeacherMissing.self) { try Distillation().evaluate(batch, model: try TinyModels.load("llama")) }
  }
}

/// A projection that says of itself nothing but its outputs.
private final class Indirect: Module, Projection {
  private let base: any Projection

  init(_ base: any Projection) { self.base = base }

  var inputSize: Int { base.inputSize }
  var outputSize: Int { base.outputSize }
  var storesTransposed: Bool { base.storesTransposed }
  var denseBias: Tensor? { base.denseBias }
  func forward(_ x: Tensor) throws(TorchError) -> Tensor { try base.forward(x) }
  func denseWeight() throws(TorchError) -> Tensor { try base.denseWeight() }
  func replacing(weight: Tensor, bias: Tensor?) throws(TorchError) -> any Projection {
    try base.replacing(weight: weight, bias: bias)
  }
}
