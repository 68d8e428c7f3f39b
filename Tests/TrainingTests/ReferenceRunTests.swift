import Checkpoints
import Datasets
import Foundation
import Objectives
import TestSupport
import Testing
import Text
import Torch
import Training
import Tuners

/// Twenty optimizer steps against transformers' Trainer with PEFT.
@Suite struct ReferenceRunTests {
  static let runs = [
    "llama-tied/accumulation-1", "llama-tied/accumulation-4", "llama-tied/accumulation-4-remainder", "llama-tied/cosine",
    "llama-tied/packed", "gpt2/gpt2",
  ]

  @Test(arguments: runs) func everyLossIsTheReferences(_ name: String) throws {
    let run = try ReferenceRun(name)
    defer { run.remove() }
    var reports: [StepReport] = []
    let (trainer, adapter) = try run.trainer(observe: { if case .step(let report) = $0 { reports.append(report) } })
    _ = try trainer.run(resuming: false)
    #expect(reports.count == run.steps.count)
    for (own, theirs) in zip(reports, run.steps) {
      let (loss, norm) = (try #require(theirs["loss"]?.double), try #require(theirs["grad_norm"]?.double))
      #expect(abs(own.loss - loss) <= 1e-5 * loss, "step \(own.step): loss \(own.loss) in place of \(loss)")
      #expect(abs(own.gradientNorm - norm) <= 1e-5 * norm, "step \(own.step): norm \(own.gradientNorm) in place of \(norm)")
      #expect(abs(own.learningRate - (theirs["learning_rate"]?.double ?? -1)) <= 1e-12)
    }
    let final = try Goldens.tensors("training/\(name).final_adapter.safetensors")
    for (path, value) in adapter.parameters {
      #expect(try mismatch(value, try final.tensor("base_model.model." + path), absolute: 1e-5) == nil, "\(path)")
    }
  }

  /// With the base in bfloat16 the losses stay those of the float32 reference up to its rounding: an 8-bit mantissa, averaged over the
  /// tokens of a step. A loss may lie 1/128 off, and the mean over the run 1/512.
  @Test(arguments: runs) func bfloat16StaysNearTheReference(_ name: String) throws {
    let run = try ReferenceRun(name)
    defer { run.remove() }
    var reports: [StepReport] = []
    let (trainer, _) = try run.trainer(dtype: .bfloat16, observe: { if case .step(let report) = $0 { reports.append(report) } })
    _ = try trainer.run(resuming: false)
    var sum = 0.0
    for (own, theirs) in zip(reports, run.steps) {
      let loss = try #require(theirs["loss"]?.double)
      #expect(abs(own.loss - loss) <= loss / 128, "step \(own.step): loss \(own.loss), in float32 \(loss)")
      sum += (own.loss - loss) / loss
    }
    #expect(abs(sum) / Double(run.steps.count) <= 1.0 / 512, "the mean of 20 losses is off by \(sum / 20) of itself")
  }

  /// The reference computed the samples of a packed row one by one; here they share a row, as the reference says which.
  @Test(arguments: runs) func everyStepHasTheReferencesSamples(_ name: String) throws {
    let run = try ReferenceRun(name)
    defer { run.remove() }
    var loader = try run.loader()
    #expect(run.microBatches.count == 20)
    for step in run.microBatches {
      for indices in step {
        let next = loader.next()
        let batch = try #require(next)
        #expect(batch.samples == indices)
        #expect(run.packedLength.map { batch.tokenCount <= $0 } ?? true)
      }
    }
  }

  @Test func packedRowsGiveTheLossesOfLooseOnes() throws {
    let run = try ReferenceRun("llama-tied/accumulation-1")
    defer { run.remove() }
    let (packed, _) = try run.trainer(packedLength: 64)
    let result = try packed.run(resuming: false)
    #expect(result.rows.compactMap(\.loss).count == 20 && result.rows[0].tokens > 40)
    // The same samples in the same steps, but one to a forward pass.
    let samples = try run.samples()
    var loader = try DataLoader(samples: samples, batchSize: 1, packedLength: 64, order: .sequential)
    let next = loader.next()
    let first = try #require(next)
    let alone = try first.samples.map { try DataLoader(samples: [samples[$0]], batchSize: 1).largestBatch }
    let count = alone.reduce(0) { $0 + ($1?.trainedTokens ?? 0) }
    #expect(count == first.trainedTokens)
    let model = try TinyModels.load("llama-tied")
    let sum = try alone.compactMap { $0 }.reduce(0.0) { sum, batch in
      try sum + withoutGradients { () throws in try SupervisedFineTuning().lossSum(batch, model: model).item() }
    }
    let whole = try withoutGradients { () throws in try SupervisedFineTuning().lossSum(first, model: model).item() }
    #expect(abs(sum - whole) <= 1e-5 * abs(sum))
  }

  /// In a process of its own, where no other test makes handles.
  @Test func fiftyStepsLeakNoTensor() async {
    await #expect(processExitsWith: .success) { try countHandles() }
  }
}

private func countHandles() throws {
  let run = try ReferenceRun("llama-tied/accumulation-1")
  defer { run.remove() }
  var counts: [Int] = []
  let (trainer, _) = try run.trainer(
    change: { $0.maxSteps = 52 }, observe: { if case .step = $0 { counts.append(Tensor.liveCount) } })
  _ = try trainer.run(resuming: false)
  #expect(counts.count == 52)
  #expect(counts[1] == counts[51])
}
