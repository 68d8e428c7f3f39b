import Checkpoints
import Datasets
import Foundation
import Models
import NN
import Objectives
import TestSupport
import Torch
import Training

@testable import Tuners

/// One method on one fresh model, and what there is to be seen of a behaviour.
struct MethodTrial {
  let row: MethodRow
  let adapters: AdapterSet
  private static let rows: [[Int32]] = [[3, 5, 7, 9, 11, 13], [4, 6, 5, 40, 12, 9]]

  init(_ row: MethodRow, model: String? = nil, dtype: DType = .float32, packing: ProjectionPacking? = nil) throws {
    self.row = row
    adapters = try AdapterSet(try TinyModels.load(model ?? row.model, dtype: dtype, packing: packing))
    try RandomState.seed(7)
  }

  var model: any CausalLM { adapters.model }

  /// What is wrong; nil for nothing.
  func problem(_ behaviour: Behaviour) throws -> String? {
    switch behaviour {
    case .identity: try identity()
    case .onlyOwn: try onlyOwn()
    case .gradients: try gradients()
    case .lossFalls: try lossFalls()
    case .merge: try merge()
    case .unmerge: try unmerge()
    case .disabled: try disabled()
    case .saveLoad: try saveLoad()
    case .twoAtOnce: try twoAtOnce()
    case .resume: try resume()
    case .architectures: try architectures()
    case .packing: try packing()
    case .checkpointing: try checkpointing()
    case .bfloat16: try bfloat16()
    case .quantized: try quantized()
    }
  }

  // MARK: Tools

  func logits() throws -> Tensor {
    try withoutGradients { () throws in try model.logits(try ModelInput(rows: Self.rows)).to(.float32) }
  }

  /// An adapter that is away from its start.
  private func moved(_ name: String = "default", by deviation: Double = 0.05) throws -> Adapter {
    let adapter = try adapters.add(row.settings, named: name)
    try withoutGradients {
      for (_, value) in adapter.parameters {
        let noise = try Tensor.empty(value.shape)
        try noise.normalInPlace(standardDeviation: deviation)
        try value.addInPlace(noise)
      }
    }
    return adapter
  }

  private func samples(_ count: Int) -> [EncodedSample] {
    (0..<count).map { index in
      let ids = (0..<Int32(6 + index % 4)).map { ($0 * 5 + Int32(index % 4) * 7 + 5) % 90 + 3 }
      return EncodedSample(
        ids: ids, trained: ids.indices.map { $0 > 1 }, location: SourceLocation(file: "toy", line: index + 1), index: index)
    }
  }

  private func loss(_ batch: Batch) throws -> Tensor { try SupervisedFineTuning().lossSum(batch, model: model) }

  private func trainer(
    _ adapter: Adapter, steps: Int, output: URL, shouldStop: @escaping () -> Bool = { false },
    observe: @escaping (TrainingEvent) -> Void = { _ in }
  ) throws -> Trainer {
    var options = TrainingOptions()
    (options.maxSteps, options.learningRate, options.schedule, options.saveEvery) = (steps, row.rate, .constant, nil)
    return try Trainer(
      model: model, part: adapter.tunedPart(base: row.model), objective: SupervisedFineTuning(),
      loader: try DataLoader(samples: samples(8), batchSize: 4, order: .sequential), evalSamples: [], options: options,
      output: output, shouldStop: shouldStop, observe: observe)
  }

  private func bytes(_ adapter: Adapter) throws -> [[UInt8]] {
    try adapter.parameters.map { try $0.value.withUnsafeBytes { Array($0) } }
  }

  // MARK: Behaviours

  private func identity() throws -> String? {
    let before = try logits()
    _ = try adapters.add(row.settings)
    return try mismatch(try logits(), before, absolute: 2e-5)
  }

  private func onlyOwn() throws -> String? {
    let adapter = try moved()
    try adapter.setTrainable(true)
    try loss(Batch([0, 1], of: samples(2))).backward()
    let own = adapter.parameters
    guard !own.isEmpty else { return "it trains nothing" }
    for (path, _, value) in model.parameters() where try value.requiresGradient || value.gradient() != nil {
      if !own.contains(where: { $0.value.isSameMemory(as: value) }) { return "\(path) takes gradients" }
    }
    return nil
  }

  private func gradients() throws -> String? {
    let adapter = try moved()
    try adapter.setTrainable(true)
    try loss(Batch([0, 1, 2, 3], of: samples(4) + [])).backward()
    for (path, value) in adapter.parameters {
      guard let gradient = try value.gradient() else { return "\(path) gets no gradient" }
      let norm = try gradient.norm().item()
      if !norm.isFinite || norm == 0 { return "the gradient of \(path) has the norm \(norm)" }
    }
    return nil
  }

  private func lossFalls() throws -> String? {
    let folder = try TemporaryFolder()
    var losses: [Double] = []
    let trainer = try trainer(
      try adapters.add(row.settings), steps: 20, output: folder.url,
      observe: {
        if case .step(let report) = $0 { losses.append(report.loss) }
      })
    _ = try trainer.run(resuming: false)
    let (first, last) = (losses[0] + losses[1], losses[18] + losses[19])
    return last < 0.97 * first ? nil : "from \(first / 2) to \(last / 2)"
  }

  private func merge() throws -> String? {
    _ = try moved()
    let before = try logits()
    try adapters.mergeAndUnload()
    guard !model.projections().contains(where: { $0.slot.value is AdaptedProjection }) else { return "a wrapper is left" }
    return try mismatch(try logits(), before, absolute: 1e-4)
  }

  private func unmerge() throws -> String? {
    let before = try model.parameters().map { ($0.path, $0.value, try $0.value.clone()) }
    _ = try moved()
    try adapters.mergeAndUnload()
    for (path, value, copy) in before where try !value.isEqual(to: copy) { return "\(path) was changed" }
    return nil
  }

  private func disabled() throws -> String? {
    let before = try logits()
    _ = try moved()
    if try logits().isEqual(to: before) { return "it changes nothing when it is on" }
    let off = try adapters.withAdaptersDisabled { try logits() }
    return try off.isEqual(to: before) ? nil : "the base gives other logits"
  }

  private func saveLoad() throws -> String? {
    let folder = try TemporaryFolder()
    let adapter = try moved()
    let before = try logits()
    try adapter.tunedPart(base: row.model).save(to: folder.url)
    let other = try MethodTrial(row)
    if row.settings.files == .model {
      try other.adapters.add(row.settings).tunedPart(base: row.model).restore(from: folder.url)
    } else {
      try AdapterFolder.load(folder.url, into: other.adapters)
    }
    return try mismatch(try other.logits(), before, absolute: 1e-5)
  }

  private func twoAtOnce() throws -> String? {
    let first = try moved("first")
    let alone = try logits()
    _ = try moved("second", by: 0.08)
    let second = try logits()
    try adapters.activate([first.name, "second"])
    let both = try logits()
    if try mismatch(both, alone, absolute: 1e-3) == nil || mismatch(both, second, absolute: 1e-3) == nil {
      return "both together give what one gives alone"
    }
    try adapters.activate([first.name])
    guard try logits().isEqual(to: alone) else { return "the first is not what it was" }
    try adapters.remove("second")
    return try logits().isEqual(to: alone) ? nil : "taking the second out changes the first"
  }

  private func resume() throws -> String? {
    let (whole, parts) = (try TemporaryFolder(), try TemporaryFolder())
    let adapter = try adapters.add(row.settings)
    _ = try trainer(adapter, steps: 8, output: whole.url).run(resuming: false)
    let stopped = try MethodTrial(row)
    var done = 0
    let first = try stopped.trainer(
      try stopped.adapters.add(row.settings), steps: 8, output: parts.url, shouldStop: { done >= 5 },
      observe: { if case .step(let report) = $0 { done = report.step } })
    do {
      _ = try first.run(resuming: false)
      return "it did not stop"
    } catch is TrainingInterrupted {}
    let again = try MethodTrial(row)
    let resumed = try again.adapters.add(row.settings)
    _ = try again.trainer(resumed, steps: 8, output: parts.url).run(resuming: true)
    for ((path, _), (own, theirs)) in zip(adapter.parameters, zip(try bytes(resumed), try bytes(adapter))) where own != theirs {
      return "\(path) ends otherwise"
    }
    return nil
  }

  private func architectures() throws -> String? {
    for name in row.models {
      let trial = try MethodTrial(row, model: name)
      let folder = try TemporaryFolder()
      let adapter = try trial.adapters.add(row.settings)
      let before = try adapter.parameters.map { try $0.value.clone() }
      var losses: [Double] = []
      let trainer = try trial.trainer(
        adapter, steps: 3, output: folder.url,
        observe: {
          if case .step(let report) = $0 { losses.append(report.loss) }
        })
      _ = try trainer.run(resuming: false)
      guard losses.count == 3, losses.allSatisfy(\.isFinite) else { return "\(name): losses \(losses)" }
      // Of each kind one: what AdaLoRA takes away stays where it is.
      let kind = { (path: String) in path.split(separator: ".").suffix(2).filter { $0.first?.isNumber != true } }
      var still = Set(adapter.parameters.map { kind($0.path) })
      for ((path, value), old) in zip(adapter.parameters, before) where try !value.isEqual(to: old) { still.remove(kind(path)) }
      guard still.isEmpty else { return "\(name): nothing moved of \(still)" }
    }
    return nil
  }

  private func packing() throws -> String? {
    _ = try moved()
    let samples = samples(3)
    let (packed, alone) = try withoutGradients { () throws in
      (
        try loss(Batch([0, 1, 2], of: samples)).item(),
        try samples.indices.reduce(0.0) { try $0 + loss(Batch([$1], of: samples)).item() }
      )
    }
    return abs(packed - alone) <= 1e-4 * abs(alone) ? nil : "\(packed) packed, \(alone) one by one"
  }

  private func checkpointing() throws -> String? {
    let adapter = try moved()
    try adapter.setTrainable(true)
    model.train()
    defer { model.train(false) }
    var reference: [Tensor] = []
    for mode in GradientCheckpointing.Part.allCases.map({ GradientCheckpointing($0) }) {
      model.gradientCheckpointing = mode
      for (_, value) in adapter.parameters { try value.setGradient(nil) }
      try RandomState.seed(11)
      try loss(Batch([0, 1, 2], of: samples(3))).backward()
      let found = try adapter.parameters.map { try $0.value.gradient()?.clone() ?? Tensor.zeros($0.value.shape) }
      if reference.isEmpty { reference = found }
      for ((path, _), (own, theirs)) in zip(adapter.parameters, zip(found, reference)) {
        if let problem = try mismatch(own, theirs, absolute: 2e-5) { return "\(mode.part.rawValue), \(path): \(problem)" }
      }
    }
    return nil
  }

  private func quantized() throws -> String? {
    let trial = try MethodTrial(row, packing: ProjectionPacking(.nf4))
    func packed() -> Int { trial.model.projections().count { $0.slot.value is QuantizedLinear } }
    let count = packed()
    guard count > 0 else { return "nothing is quantized" }
    let base = try trial.logits()
    let adapter = try trial.adapters.add(row.settings)
    if row.exceptions[.identity] == nil, let problem = try mismatch(try trial.logits(), base, absolute: 2e-5) {
      return "at its start: \(problem)"
    }
    let folder = try TemporaryFolder()
    var losses: [Double] = []
    let trainer = try trial.trainer(
      adapter, steps: 20, output: folder.url,
      observe: {
        if case .step(let report) = $0 { losses.append(report.loss) }
      })
    _ = try trainer.run(resuming: false)
    guard packed() == count else { return "a projection is no longer quantized" }
    let (first, last) = (losses[0] + losses[1], losses[18] + losses[19])
    guard last < 0.97 * first else { return "the loss goes from \(first / 2) to \(last / 2)" }
    guard row.exceptions[.merge] == nil else { return nil }
    let before = try trial.logits()
    try trial.adapters.mergeAndUnload()
    return try mismatch(try trial.logits(), before, absolute: 1e-4).map { "merged: \($0)" }
  }

  /// What this float32 model gives with an adapter of the same numbers.
  private func logits(withParametersOf other: Adapter) throws -> Tensor {
    let own = try adapters.add(row.settings)
    try withoutGradients {
      for ((_, value), (_, source)) in zip(own.parameters, other.parameters) { try value.copyInPlace(source) }
    }
    return try logits()
  }

  private func bfloat16() throws -> String? {
    let trial = try MethodTrial(row, dtype: .bfloat16)
    let base = try trial.logits()
    let adapter = try trial.adapters.add(row.settings)
    guard trial.model.dtype == .bfloat16 else { return "the model computes in \(trial.model.dtype.rawValue)" }
    let isIdentity = row.exceptions[.identity] == nil
    let expected = isIdentity ? base : try logits(withParametersOf: adapter)
    // Against float32 every layer's rounding counts, to 1/256 each time.
    let tolerance = isIdentity ? 0.15 : try expected.abs().max().item() / 32
    if let problem = try mismatch(try trial.logits(), expected, absolute: tolerance) { return "at its start: \(problem)" }
    guard adapter.parameters.allSatisfy({ $0.value.dtype == .float32 }) else { return "what it trains is not float32" }
    let folder = try TemporaryFolder()
    var losses: [Double] = []
    let trainer = try trial.trainer(
      adapter, steps: 20, output: folder.url,
      observe: {
        if case .step(let report) = $0 { losses.append(report.loss) }
      })
    _ = try trainer.run(resuming: false)
    let hidden = try withoutGradients { () throws in try trial.model.hidden(try ModelInput(rows: Self.rows)) }
    guard hidden.dtype == .bfloat16 else { return "hidden states are \(hidden.dtype.rawValue)" }
    let (first, last) = (losses[0] + losses[1], losses[18] + losses[19])
    return last < 0.97 * first ? nil : "the loss goes from \(first / 2) to \(last / 2)"
  }
}
