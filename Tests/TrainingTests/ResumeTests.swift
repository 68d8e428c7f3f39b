import Checkpoints
import Datasets
import Foundation
import TestSupport
import Testing
import Text
import Torch
import Training
import Tuners

/// A run that is stopped and goes on ends as if it had never stopped.
@Suite(.serialized) struct ResumeTests {
  private func bytes(_ adapter: Adapter) throws -> [[UInt8]] {
    try adapter.parameters.map { try $0.value.withUnsafeBytes { Array($0) } }
  }

  private func evalSamples(_ run: ReferenceRun) throws -> [EncodedSample] { Array(try run.samples().suffix(6)) }

  @Test(arguments: [3, 7, 16]) func stoppedAndResumedEqualsUninterrupted(_ stop: Int) throws {
    let (whole, parts) = (try ReferenceRun("llama-tied/accumulation-4"), try ReferenceRun("llama-tied/accumulation-4"))
    defer {
      whole.remove()
      parts.remove()
    }
    let change: (inout TrainingOptions) -> Void = {
      $0.logEvery = 3
      $0.evalEvery = 5
    }
    let (trainer, adapter) = try whole.trainer(
      change: change, evalSamples: try evalSamples(whole), dropout: 0.3, order: .shuffled)
    let result = try trainer.run(resuming: false)

    var done = 0
    let (first, _) = try parts.trainer(
      change: change, evalSamples: try evalSamples(parts), dropout: 0.3, order: .shuffled, shouldStop: { done >= stop },
      observe: { if case .step(let report) = $0 { done = report.step } })
    #expect(throws: TrainingInterrupted.self) { try first.run(resuming: false) }
    // Something else draws random numbers in between.
    try RandomState.seed(999)
    let (second, resumed) = try parts.trainer(
      change: change, evalSamples: try evalSamples(parts), dropout: 0.3, order: .shuffled)
    let again = try second.run(resuming: true)
    #expect(try bytes(resumed) == bytes(adapter))
    #expect(again.rows.map(\.loss) == result.rows.map(\.loss))
    #expect(again.rows.map(\.evalLoss) == result.rows.map(\.evalLoss))
    #expect(again.rows.map(\.tokens) == result.rows.map(\.tokens))
  }

  @Test func aDamagedCheckpointIsPassedOver() throws {
    let run = try ReferenceRun("llama-tied/accumulation-1")
    defer { run.remove() }
    let (trainer, adapter) = try run.trainer(change: { $0.saveEvery = 5 })
    _ = try trainer.run(resuming: false)
    let newest = run.output.appending(path: "checkpoints/step-20/optimizer.safetensors")
    let data = try Data(contentsOf: newest)
    try data.prefix(data.count / 2).write(to: newest)
    var warnings: [String] = []
    let (second, resumed) = try run.trainer(
      change: { $0.saveEvery = 5 }, observe: { if case .warning(let text) = $0 { warnings.append(text) } })
    _ = try second.run(resuming: true)
    #expect(warnings.count == 1)
    #expect(try bytes(resumed) == bytes(adapter))
  }

  @Test func stoppedInTheLastEvaluationIsNotTheEnd() throws {
    let (whole, parts) = (try ReferenceRun("llama-tied/accumulation-1"), try ReferenceRun("llama-tied/accumulation-1"))
    defer {
      whole.remove()
      parts.remove()
    }
    let (trainer, adapter) = try whole.trainer(evalSamples: try evalSamples(whole))
    let result = try trainer.run(resuming: false)
    #expect(result.rows.last?.evalLoss != nil)
    var stops = false
    let (first, _) = try parts.trainer(
      evalSamples: try evalSamples(parts), shouldStop: { stops },
      observe: { if case .step(let report) = $0 { stops = report.step == report.totalSteps } })
    #expect(throws: TrainingInterrupted.self) { try first.run(resuming: false) }
    let (second, resumed) = try parts.trainer(evalSamples: try evalSamples(parts))
    let again = try second.run(resuming: true)
    #expect(again.rows.map(\.evalLoss) == result.rows.map(\.evalLoss))
    #expect(try bytes(resumed) == bytes(adapter))
  }

  @Test func resumingWithoutACheckpointSaysSo() throws {
    let run = try ReferenceRun("llama-tied/accumulation-1")
    defer { run.remove() }
    let (trainer, _) = try run.trainer()
    #expect { try trainer.run(resuming: true) } throws: { "\($0)".contains("no whole checkpoint") }
  }

  @Test func aLossThatIsNoNumberStopsTheRunAndNamesTheSample() throws {
    let run = try ReferenceRun("llama-tied/accumulation-1")
    defer { run.remove() }
    let (trainer, adapter) = try run.trainer(change: {
      $0.learningRate = 1e30
      $0.warmupSteps = 0
      $0.maxGradientNorm = nil
    })
    #expect { try trainer.run(resuming: false) } throws: {
      "\($0)".contains("samples.json:") && "\($0)".contains("step ") && "\($0)".contains("lora_")
    }
    #expect(!adapter.parameters.isEmpty)
  }

  @Test func earlyStoppingEndsTheRunAndTheBestStateComesBack() throws {
    let run = try ReferenceRun("llama-tied/accumulation-1")
    defer { run.remove() }
    var stopped = false
    let (trainer, adapter) = try run.trainer(
      change: {
        $0.evalEvery = 1
        $0.earlyStopping = TrainingOptions.EarlyStopping(patience: 2, minimumDelta: 100)
        $0.loadsBestAtEnd = true
      }, evalSamples: try evalSamples(run), observe: { if case .stoppedEarly = $0 { stopped = true } })
    let result = try trainer.run(resuming: false)
    #expect(stopped && result.state.step == 3 && result.state.best?.step == 1)
    let best = try SafetensorsFile(run.output.appending(path: "best/adapter_model.safetensors"))
    for (path, value) in adapter.parameters { #expect(try value.isEqual(to: try best.tensor("base_model.model." + path))) }
  }
}
