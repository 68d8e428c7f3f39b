import Datasets
import Foundation
import NN
import Objectives
import OrderedCollections
import TestSupport
import Testing
import Text
import Torch
import Training
import Tuners

/// Runs that tune a whole tiny model with each optimizer.
@Suite struct OptimizerRunTests {
  /// One of the tiny models, all of whose weights are tuned.
  private struct Run {
    let folder: TemporaryFolder
    let trainer: Trainer
    let adapter: Adapter

    init(
      _ optimizer: OptimizerOptions, dtype: DType = .float32, weights: FullConfiguration.WeightsType = .float32, steps: Int = 12,
      folder: TemporaryFolder? = nil, change: (inout TrainingOptions) -> Void = { _ in },
      shouldStop: @escaping () -> Bool = { false }, observe: @escaping (TrainingEvent) -> Void = { _ in }
    ) throws {
      self.folder = try folder ?? TemporaryFolder()
      let set = try AdapterSet(try TinyModels.load("llama-tied", dtype: dtype))
      var method = FullConfiguration()
      method.weightsDtype = weights
      adapter = try set.add(method)
      var options = TrainingOptions()
      (options.maxSteps, options.learningRate, options.schedule) = (steps, 2e-3, .constant)
      (options.maxGradientNorm, options.logEvery, options.optimizer) = (nil, 1, optimizer)
      change(&options)
      trainer = try Trainer(
        model: set.model, part: TunedWeights(adapter), objective: SupervisedFineTuning(),
        loader: try DataLoader(samples: try Self.samples(), batchSize: 2, order: .shuffled), evalSamples: [], options: options,
        output: self.folder.url, shouldStop: shouldStop, observe: observe)
    }

    private static func samples() throws -> [EncodedSample] {
      (try Goldens.json("training/samples.json")["samples"]?.array ?? []).enumerated().map { index, sample in
        let ids = (sample["input_ids"]?.array ?? []).compactMap(\.int).map(Int32.init)
        let trained = (sample["labels"]?.array ?? []).compactMap(\.int).enumerated().map { $0.offset > 0 && $0.element >= 0 }
        return EncodedSample(
          ids: ids, trained: trained, location: SourceLocation(file: "samples.json", line: index + 1), index: index)
      }
    }

    func bytes() throws -> [[UInt8]] { try adapter.parameters.map { try $0.value.withUnsafeBytes { Array($0) } } }

    /// The mean loss of the last ten steps.
    func lastLoss() throws -> Double {
      let losses = try trainer.run(resuming: false).rows.compactMap(\.loss).suffix(10)
      return losses.reduce(0, +) / Double(losses.count)
    }
  }

  static func optimizers() -> [(String, OptimizerOptions)] {
    let galore = GaLore { ($0.rank, $0.updateGap) = (4, 5) }
    return [
      ("adamw", OptimizerOptions(AdamW())), ("8 bits", OptimizerOptions(AdamW { ($0.bits, $0.leastCodedSize) = (.eight, 256) })),
      ("lion", OptimizerOptions(Lion { ($0.bits, $0.leastCodedSize) = (.eight, 256) })),
      ("sgd", OptimizerOptions(SGD { ($0.momentum, $0.dampening) = (0.9, 0.1) })),
      ("adafactor", OptimizerOptions(Adafactor { ($0.beta1, $0.scalesParameter) = (0.9, true) })),
      ("galore", OptimizerOptions(galore)),
    ]
  }

  @Test(arguments: 0..<6, [FullConfiguration.WeightsType.float32, .bfloat16])
  func stoppedAndResumedEqualsUninterrupted(_ place: Int, _ weights: FullConfiguration.WeightsType) throws {
    let (_, options) = Self.optimizers()[place]
    let dtype = weights == .bfloat16 ? DType.bfloat16 : .float32
    let whole = try Run(options, dtype: dtype, weights: weights)
    let result = try whole.trainer.run(resuming: false)
    #expect(whole.adapter.parameters.allSatisfy { $0.value.dtype == dtype })

    var done = 0
    let first = try Run(
      options, dtype: dtype, weights: weights, shouldStop: { done >= 7 },
      observe: { if case .step(let report) = $0 { done = report.step } })
    #expect(throws: TrainingInterrupted.self) { try first.trainer.run(resuming: false) }
    let second = try Run(options, dtype: dtype, weights: weights, folder: first.folder)
    let again = try second.trainer.run(resuming: true)
    #expect(try second.bytes() == whole.bytes())
    #expect(again.rows.map(\.loss) == result.rows.map(\.loss))
    #expect(try first.bytes() != whole.bytes(), "the steps after the stop do something")
  }

  /// Another optimizer's checkpoint is refused before anything has changed.
  @Test func anotherOptimizersCheckpointIsRefused() throws {
    let first = try Run(OptimizerOptions(AdamW()), change: { $0.saveEvery = 4 })
    _ = try first.trainer.run(resuming: false)
    let second = try Run(OptimizerOptions(AdamW { ($0.bits, $0.leastCodedSize) = (.eight, 0) }), folder: first.folder)
    #expect { try second.trainer.run(resuming: true) } throws: { "\($0)".contains("exp_avg") }
  }

  // MARK: In the backward pass

  @Test(arguments: 0..<6, [GradientCheckpointing.none, .selective, .full])
  func inTheBackwardPassAsAfterIt(_ place: Int, _ checkpointing: GradientCheckpointing) throws {
    var (_, options) = Self.optimizers()[place]
    let after = try Run(options, change: { $0.gradientCheckpointing = checkpointing })
    let rows = try after.trainer.run(resuming: false).rows
    options.isInBackward = true
    let inside = try Run(options, change: { $0.gradientCheckpointing = checkpointing })
    let others = try inside.trainer.run(resuming: false).rows
    #expect(try inside.bytes() == after.bytes())
    #expect(rows.map(\.loss) == others.map(\.loss))
    for (row, other) in zip(rows, others) {
      let (norm, expected) = (try #require(other.gradientNorm), try #require(row.gradientNorm))
      #expect(abs(norm - expected) <= 1e-6 * expected)
    }
    #expect(try inside.adapter.parameters.allSatisfy { try $0.value.gradient() == nil })
  }

  /// Sees what gradients there are whenever a parameter moves, and moves nothing.
  private struct Watch: OptimizerMethod {
    nonisolated(unsafe) static var watched: [Tensor] = []
    nonisolated(unsafe) static var most = 0
    static var name: String { "watch" }
    static var settings: [Setting<Self>] { [] }
    var weightDecay: Double { 0 }
    func memory(of path: String, shape: [Int]) -> [OptimizerMemory] { [] }
    func step(_ moves: [OptimizerMove], _ context: OptimizerContext) throws(TorchError) {
      var bytes = 0
      for tensor in Self.watched { bytes += try tensor.gradient()?.byteCount ?? 0 }
      Self.most = max(Self.most, bytes)
    }
  }

  /// At the moment when a gradient is complete, no other exists.
  @Test func gradientsAreGivenUp() throws {
    let set = try AdapterSet(try TinyModels.load("llama"))
    let adapter = try set.add(FullConfiguration())
    for (_, value) in adapter.parameters { try value.setRequiresGradient(true) }
    Watch.watched = adapter.parameters.map(\.value)
    defer { Watch.watched = [] }
    let optimizer = try Optimizer(adapter.parameters, options: OptimizerOptions(Watch()))
    let largest = adapter.parameters.map(\.value.byteCount).max() ?? 0
    let loss = try set.model.logits(try ModelInput(rows: [[3, 5, 7, 9, 11]])).logSumExp(-1).sum()
    let before = Tensor.liveCount
    let norm = try optimizer.update(learningRate: 1e-3) { () throws(TorchError) in try loss.backward() }
    #expect(norm > 0 && Watch.most > 0 && Watch.most <= largest, "\(Watch.most) bytes at once, the largest \(largest)")
    #expect(try adapter.parameters.allSatisfy { try $0.value.gradient() == nil })
    #expect(Tensor.liveCount == before)
  }

  @Test func whatCannotBeInTheBackwardPassIsRefused() throws {
    var options = OptimizerOptions()
    options.isInBackward = true
    #expect { try Run(options, change: { $0.gradientAccumulation = 2 }) } throws: {
      "\($0)".contains("gradient_accumulation to 1")
    }
    #expect { try Run(options, change: { $0.maxGradientNorm = 1 }) } throws: { "\($0)".contains("max_grad_norm to 0") }
    let run = try ReferenceRun("llama-tied/accumulation-1")
    defer { run.remove() }
    #expect {
      try run.trainer(change: {
        $0.optimizer = options
        $0.maxGradientNorm = nil
      })
    } throws: { "\($0)".contains("the model's own weights") }
  }

  @Test func aGradientThatIsNotFiniteEndsTheRun() throws {
    var options = OptimizerOptions(SGD())
    options.isInBackward = true
    let run = try Run(options, change: { $0.learningRate = 1e25 })
    #expect { try run.trainer.run(resuming: false) } throws: {
      "\($0)".contains("step ") && ("\($0)".contains("were moved") || "\($0)".contains("Nothing was changed"))
    }
  }

  // MARK: Groups

  @Test func ratesAndDecaysByPattern() throws {
    let start = try Tensor.pattern([3], seed: 1)
    let parameters = try ["a.embed.weight", "a.norm.weight", "b.norm2.weight", "c"].map { (path: $0, value: try start.clone()) }
    var options = OptimizerOptions(SGD { $0.weightDecay = 0.5 })
    options.rateScales = ["embed": 0, ".*norm2.*": 0.5]
    options.weightDecays = ["norm": 0]
    let optimizer = try Optimizer(parameters, options: options) { $0 == "c" ? 2 : 1 }
    for (_, value) in parameters { try value.setGradient(try .ones([3])) }
    try optimizer.update(learningRate: 0.1)
    try assertClose(parameters[0].value, start)
    try assertClose(parameters[1].value, try start - 0.1)
    try assertClose(parameters[2].value, try start * (1 - 0.05 * 0.5) - 0.05)
    try assertClose(parameters[3].value, try start * (1 - 0.2 * 0.5) - 0.2)
  }

  // MARK: Paged and 8 bits

  /// Where what is remembered lies changes nothing, and a file's pages leave the process.
  @Test(arguments: [StateBits.thirtyTwo, .eight]) func pagedEqualsUnpaged(_ bits: StateBits) throws {
    let folder = try TemporaryFolder()
    func move(_ paged: Bool) throws -> (parameter: Tensor, optimizer: Optimizer) {
      let parameter = try Tensor.pattern([700, 900], seed: 1)
      let options = OptimizerOptions(AdamW { ($0.bits, $0.isPaged, $0.weightDecay) = (bits, paged, 0.1) })
      let optimizer = try Optimizer([("w", parameter)], options: options, pages: folder.url.appending(path: "pages"))
      for step in 1...3 {
        try parameter.setGradient(try .pattern([700, 900], seed: step))
        try optimizer.update(learningRate: 1e-2, gradientScale: 0.7)
      }
      return (parameter, optimizer)
    }
    let (paged, unpaged) = (try move(true), try move(false))
    #expect(try paged.parameter.isEqual(to: unpaged.parameter))
    for (a, b) in zip(paged.optimizer.state, unpaged.optimizer.state) { #expect(try a.value.isEqual(to: b.value), "\(a.name)") }
    let blocks = (630_000 + 255) / 256
    #expect(paged.optimizer.memoryByteCount == (bits == .eight ? 2 * (630_000 + 4 * blocks) : 8 * 630_000))
    #expect(FileManager.default.fileExists(atPath: folder.path("pages")))
  }

  /// 200 steps with 8 bits end within 2 % of the loss that 32 bits come to.
  @Test func twoHundredStepsInEightBits() throws {
    func loss(_ change: (inout AdamW) -> Void) throws -> Double {
      try Run(OptimizerOptions(AdamW(change)), steps: 200, change: { $0.saveEvery = nil }).lastLoss()
    }
    let exact = try loss { _ in }
    let start = try Run(OptimizerOptions(SGD()), steps: 10, change: { $0.learningRate = 0 }).lastLoss()
    #expect(exact < 0.8 * start)
    let coded = try loss { ($0.bits, $0.leastCodedSize, $0.isPaged) = (.eight, 0, true) }
    #expect(abs(coded - exact) < 0.02 * exact, "\(coded) against \(exact), from \(start)")
  }

  /// Rounded at random, bfloat16 weights follow steps that nearest rounding loses.
  @Test func smallStepsAreNotLost() throws {
    func moved(_ atRandom: Bool, seed: UInt64) throws -> Tensor {
      let parameter = try Tensor.ones([20_000], dtype: .bfloat16)
      var options = OptimizerOptions(SGD())
      options.roundsAtRandom = atRandom
      let optimizer = try Optimizer([("w", parameter)], options: options, seed: seed)
      for _ in 0..<100 {
        try parameter.setGradient(try .ones([20_000], dtype: .bfloat16))
        try optimizer.update(learningRate: 1e-4)
      }
      return parameter
    }
    #expect(try moved(false, seed: 1).to(.float32).mean().item() == 1)
    let once = try moved(true, seed: 1)
    let mean = try once.to(.float32).mean().item()
    #expect(abs(mean - 0.99) < 1e-3, "\(mean)")
    #expect(try once.isEqual(to: try moved(true, seed: 1)) && !once.isEqual(to: try moved(true, seed: 2)))
  }
}
