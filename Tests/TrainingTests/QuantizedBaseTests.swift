import Datasets
import Foundation
import Models
import NN
import Objectives
import TestSupport
import Testing
import Text
import Torch
import Training

@testable import Tuners

/// 20 optimizer steps of LoRA over a packed base against transformers, PEFT and bitsandbytes on a CPU
/// (`Scripts/goldens/quantization.py`).
///
/// In float32 both compute the same, and a loss is within 1e-3. In bfloat16 each rounds in other places: within 1 %.
@Suite struct QuantizedBaseTests {
  static let runs = ["nf4-double-f32", "fp4-f32", "nf4-double-bf16"]

  private func samples() throws -> [EncodedSample] {
    let all = try Goldens.json("training/samples.json")["samples"]?.array ?? []
    return all.enumerated().map { index, sample in
      EncodedSample(
        ids: (sample["input_ids"]?.array ?? []).compactMap(\.int).map(Int32.init),
        trained: (sample["labels"]?.array ?? []).compactMap(\.int).map { $0 >= 0 },
        location: SourceLocation(file: "samples.json", line: index + 1), index: index)
    }
  }

  private func losses(_ run: JSON) throws -> [Double] {
    let dtype: DType = run["dtype"]?.string == "bfloat16" ? .bfloat16 : .float32
    let packing = ProjectionPacking(run["type"]?.string == "fp4" ? .fp4 : .nf4, doubleQuant: run["double_quant"]?.bool == true)
    let set = try AdapterSet(try TinyModels.load("llama-tied", dtype: dtype, packing: packing))
    let adapter = try AdapterFolder.load(Goldens.url("training/llama-tied/initial_adapter"), into: set)
    let folder = try TemporaryFolder()
    var options = TrainingOptions()
    (options.maxSteps, options.learningRate, options.schedule) = (20, 1e-2, .constant)
    (options.maxGradientNorm, options.saveEvery) = (nil, nil)
    var losses: [Double] = []
    let trainer = try Trainer(
      model: set.model, part: adapter.tunedPart(base: "llama-tied"), objective: SupervisedFineTuning(),
      loader: try DataLoader(samples: try samples(), batchSize: 2, order: .sequential), evalSamples: [], options: options,
      output: folder.url, observe: { if case .step(let report) = $0 { losses.append(report.loss) } })
    _ = try trainer.run(resuming: false)
    return losses
  }

  @Test(arguments: runs) func everyLossIsTheReferences(name: String) throws {
    let run = try #require(try Goldens.json("quantization/training.json")[name])
    let expected = (run["losses"]?.array ?? []).compactMap(\.double)
    let own = try losses(run)
    #expect(own.count == 20 && expected.count == 20)
    let isNarrow = run["dtype"]?.string == "bfloat16"
    let distance = zip(own, expected).map { abs($0 - $1) }.max() ?? .infinity
    print("\(name): the losses of 20 steps differ by at most \(distance)")
    for (index, (own, loss)) in zip(own, expected).enumerated() {
      #expect(abs(own - loss) <= (isNarrow ? 0.01 * loss : 1e-3), "step \(index + 1): loss \(own) in place of \(loss)")
    }
  }
}
