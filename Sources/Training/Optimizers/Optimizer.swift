import Checkpoints
import Foundation
import Torch

/// Moves the parameters of a run, and remembers what its rule needs for that.
public final class Optimizer {
  /// One tuned parameter with what is remembered of it.
  private struct Entry {
    let path: String
    let parameter: Tensor
    let memory: [(name: String, value: Tensor)]
    let rateScale: Double
    let weightDecay: Double
  }

  /// Bytes of paged memory that are touched before their pages are given back.
  private static let pagedAtOnce = 64 << 20
  /// A parameter is worth paging for where a tensor remembered of it has this many bytes, as in bitsandbytes.
  private static let leastPaged = 400_000

  private let options: OptimizerOptions
  private let entries: [Entry]
  private let scratch: ScratchFile?
  private let seed: UInt64
  /// Bytes remembered that were used since pages were given back.
  private var touched = 0
  /// Steps taken.
  public private(set) var step = 0

  /// An optimizer of `parameters`, which remembers nothing yet.
  ///
  /// - Parameters:
  ///   - parameters: what is tuned, by path.
  ///   - options: the rule, and what holds for any.
  ///   - pages: the folder of the file of paged memory where the options name none.
  ///   - seed: where random rounding starts.
  ///   - rateScale: what the learning rate is multiplied by for the parameter at a path.
  /// - Throws: `TorchError` where a parameter is neither float32 nor bfloat16, `CheckpointError` where paged memory has no room.
  public init(
    _ parameters: [(path: String, value: Tensor)], options: OptimizerOptions = OptimizerOptions(),
    pages: URL = FileManager.default.temporaryDirectory, seed: UInt64 = 0, rateScale: (String) -> Double = { _ in 1 }
  ) throws {
    (self.options, self.seed) = (options, seed)
    let method = options.method
    let scratch = method.isPaged ? try ScratchFile(in: options.pageFolder.map { URL(filePath: $0) } ?? pages) : nil
    self.scratch = scratch
    entries = try parameters.map { path, value in
      guard value.dtype == .float32 || value.dtype == .bfloat16 else {
        throw TorchError(operation: "optimizer", operands: [value], message: "“\(path)” must be float32 or bfloat16 to be tuned")
      }
      let parts = method.memory(of: path, shape: value.shape)
      let paged = Self.isPaged(parts) ? scratch : nil
      let memory = try parts.map { part in
        let tensor =
          try paged?.zeros(part.shape, dtype: part.dtype) ?? .zeros(part.shape, dtype: part.dtype, device: value.device)
        return (name: part.name, value: tensor)
      }
      return Entry(
        path: path, parameter: value, memory: memory,
        rateScale: rateScale(path) * (try OptimizerOptions.value(options.rateScales, for: path) ?? 1),
        weightDecay: try OptimizerOptions.value(options.weightDecays, for: path) ?? method.weightDecay)
    }
  }

  /// Whether what is remembered of a parameter is worth paging. Codes and their scales stay on one side.
  private static func isPaged(_ parts: [OptimizerMemory]) -> Bool { parts.contains { $0.byteCount >= leastPaged } }

  /// What an optimizer of `parameters` remembers, told by shapes alone: bytes of it in all, those that lie in a file where its method
  /// is paged, and the most of those that are in memory at once.
  public static func memory(
    of parameters: [(path: String, shape: [Int])], _ method: any OptimizerMethod
  ) -> (all: Int, paged: Int, pagedAtOnce: Int) {
    var (all, paged, largest) = (0, 0, 0)
    for (path, shape) in parameters {
      let parts = method.memory(of: path, shape: shape)
      let bytes = parts.reduce(0) { $0 + $1.byteCount }
      all += bytes
      guard method.isPaged, isPaged(parts) else { continue }
      paged += bytes
      largest = max(largest, bytes)
    }
    return (all, paged, min(paged, pagedAtOnce + largest))
  }

  /// The tuned parameters in order.
  public var parameters: [(path: String, value: Tensor)] { entries.map { ($0.path, $0.parameter) } }

  /// Bytes of what is remembered.
  public var memoryByteCount: Int { entries.reduce(0) { $0 + $1.memory.reduce(0) { $0 + $1.value.byteCount } } }

  // MARK: Steps

  /// Moves each parameter that has a gradient; the others stay, means and all, while steps are counted for all alike.
  ///
  /// - Parameters:
  ///   - learningRate: how far, by the run's schedule.
  ///   - gradientScale: what gradients are multiplied by first: ``clippingScale(norm:limit:)``.
  public func update(learningRate: Double, gradientScale: Double = 1) throws(TorchError) {
    step += 1
    var moves: [OptimizerMove] = []
    for place in entries.indices {
      guard let move = try move(place, learningRate: learningRate) else { continue }
      moves.append(move)
      guard scratch != nil, moves.reduce(0, { $0 + $1.memoryByteCount }) >= Self.pagedAtOnce else { continue }
      try take(moves, gradientScale: gradientScale)
      moves = []
    }
    try take(moves, gradientScale: gradientScale)
    giveBackPages()
  }

  private func move(_ place: Int, learningRate: Double) throws(TorchError) -> OptimizerMove? {
    let entry = entries[place]
    guard let gradient = try entry.parameter.gradient() else { return nil }
    return OptimizerMove(
      path: entry.path, parameter: entry.parameter, gradient: gradient, memory: entry.memory.map(\.value),
      learningRate: options.method.learningRate(learningRate, step: step) * entry.rateScale, weightDecay: entry.weightDecay,
      noise: noise(of: place))
  }

  private func take(_ moves: [OptimizerMove], gradientScale: Double) throws(TorchError) {
    let context = OptimizerContext(step: step, gradientScale: gradientScale, roundsAtRandom: options.roundsAtRandom)
    try options.method.step(moves, context)
    touched += moves.reduce(0) { $0 + $1.memoryByteCount }
    if touched >= Self.pagedAtOnce { giveBackPages() }
  }

  private func giveBackPages() {
    scratch?.release()
    touched = 0
  }

  /// Other bits for each parameter and step, from the seed alone, so that a run that goes on rounds as one that never stopped. A round
  /// of SplitMix64 over each number.
  private func noise(of place: Int) -> UInt64 {
    [UInt64(step), UInt64(place)].reduce(seed) { key, number in
      var bits = key &+ (number &+ 1) &* 0x9E37_79B9_7F4A_7C15
      bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
      bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
      return bits ^ (bits >> 31)
    }
  }

  /// Forgets all gradients.
  public func clearGradients() throws(TorchError) {
    for entry in entries { try entry.parameter.setGradient(nil) }
  }

  // MARK: Steps inside the backward pass

  /// A step whose parameters move one by one, while gradients are computed.
  private final class BackwardStep {
    let learningRate: Double
    var squares = 0.0
    var moved = Set<Int>()
    var bad: String?

    init(learningRate: Double) { self.learningRate = learningRate }
  }

  /// Runs a backward pass in which each parameter is moved as soon as its gradient is complete, and the gradient given up.
  ///
  /// - Parameters:
  ///   - learningRate: how far, by the run's schedule.
  ///   - backward: the pass. Each gradient must be complete once in it.
  /// - Returns: √Σ‖g‖² over all gradients; not finite where a gradient is not, from which on nothing was moved any more:
  ///   ``firstNonFiniteGradient()`` tells which it was.
  /// - Throws: what `backward` throws; `TorchError` where a gradient comes in parts.
  public func update<Failure: Error>(
    learningRate: Double, inside backward: () throws(Failure) -> Void
  ) throws -> Double {
    let running = BackwardStep(learningRate: learningRate)
    step += 1
    for place in entries.indices {
      try entries[place].parameter.onGradient { [unowned self] _ throws(TorchError) in try self.gradientIsComplete(place, running)
      }
    }
    defer { for entry in entries { try? entry.parameter.onGradient(nil) } }
    try backward()
    giveBackPages()
    badGradient = running.bad
    return running.squares.squareRoot()
  }

  /// Runs a backward pass in which each gradient is given up as soon as it is complete, and nothing is moved.
  func dropGradients<Failure: Error>(inside backward: () throws(Failure) -> Void) throws {
    for entry in entries {
      try entry.parameter.onGradient { (parameter) throws(TorchError) in try parameter.setGradient(nil) }
    }
    defer { for entry in entries { try? entry.parameter.onGradient(nil) } }
    try backward()
  }

  private func gradientIsComplete(_ place: Int, _ running: BackwardStep) throws(TorchError) {
    let path = entries[place].path
    guard let move = try move(place, learningRate: running.learningRate) else { return }
    defer { try? entries[place].parameter.setGradient(nil) }
    guard running.moved.insert(place).inserted else {
      throw TorchError(
        operation: "optimizer", message: "the gradient of “\(path)” came in parts, so it cannot be used in_backward")
    }
    let norm = try Tensor.norm(of: [move.gradient])
    running.squares += norm * norm
    if !norm.isFinite, running.bad == nil { running.bad = path }
    if running.bad == nil { try take([move], gradientScale: 1) }
  }

  // MARK: Gradients

  /// √Σ‖g‖² over all gradients.
  public func gradientNorm() throws(TorchError) -> Double {
    var gradients: [Tensor] = []
    for entry in entries {
      if let gradient = try entry.parameter.gradient() { gradients.append(gradient) }
    }
    return try Tensor.norm(of: gradients)
  }

  /// What brings gradients of this norm to `limit`, as torch does it: limit/(norm + 1e-6), at most 1.
  public static func clippingScale(norm: Double, limit: Double?) -> Double {
    guard let limit, norm.isFinite else { return 1 }
    return min(1, limit / (norm + 1e-6))
  }

  /// The parameter whose gradient was the first in a backward pass that was not finite.
  private var badGradient: String?

  /// The first parameter, in order, whose gradient is not finite.
  public func firstNonFiniteGradient() throws(TorchError) -> String? {
    if let badGradient { return badGradient }
    for entry in entries {
      if let gradient = try entry.parameter.gradient(), try !gradient.isFinite().all() { return entry.path }
    }
    return nil
  }

  // MARK: Checkpoints

  /// What is remembered, for a checkpoint: `PATH.exp_avg` …
  public var state: [(name: String, value: Tensor)] {
    entries.flatMap { entry in entry.memory.map { ("\(entry.path).\($0.name)", $0.value) } }
  }

  /// Continues from a checkpoint.
  ///
  /// - Throws: `TorchError` where something is missing or has another shape or type; nothing has changed then.
  public func restore(step: Int, state: (String) throws(TorchError) -> Tensor) throws(TorchError) {
    var loaded: [Tensor] = []
    for (name, value) in self.state {
      let saved = try state(name)
      guard saved.shape == value.shape, saved.dtype == value.dtype else {
        throw TorchError(
          operation: "restore", operands: [saved, value],
          message: "“\(name)” has another shape or type in the checkpoint: it was written by another optimizer")
      }
      loaded.append(saved)
    }
    for ((_, value), saved) in zip(self.state, loaded) { try value.copyInPlace(saved) }
    giveBackPages()
    self.step = step
  }
}
