import CTorch

/// Runs `body` so that tensors whose numbers are yet to be written are made without any: on ``Device/meta`` in the place of the CPU.
///
/// What is made of a model's layers is there then, to be asked for paths and shapes, and takes no memory.
public func withShapesOnly<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
  let before = ct_shapes_only()
  ct_set_shapes_only(true)
  defer { ct_set_shapes_only(before) }
  return try body()
}

/// Work gone through with tensors on ``Device/meta``, to learn what memory it takes before there is any.
///
/// The code that runs is that of the work itself. libtorch computes nothing for such tensors and our kernels leave out their loops, but
/// each tensor takes its piece of memory, from regions cut up as those of the processor are, and gives it back when it goes. None of it
/// is used. On a GPU the pieces are those of libtorch's own operations.
public struct MemoryRehearsal {
  /// What memory is taken in.
  public enum Phase: Int32, Sendable, Hashable, CaseIterable {
    /// Weights and adapters are made.
    case model
    /// The optimizer is made.
    case optimizer
    /// Samples pass through the layers.
    case forward
    /// The head, and the loss.
    case head
    /// Gradients are computed.
    case backward
    /// Parameters are moved.
    case update
    /// A pass without gradients.
    case evaluation
  }

  /// Memory in bytes.
  public struct Report: Sendable, Hashable {
    /// In use at the end.
    public let live: Int
    /// The most that was in use at once.
    public let most: Int
    /// What the system has to give for that: spare pieces between those in use are in memory as well.
    public let resident: Int
    /// What was in use when it was most, by the phase that took it.
    public let atMost: [Phase: Int]
    /// Of that, what was in use at the end still.
    public let staying: [Phase: Int]
  }

  private init() {}

  /// Runs `body` on this thread as a rehearsal.
  ///
  /// - Parameters:
  ///   - device: where the work is to run. Its tensors are on ``Device/meta`` all the same.
  ///   - body: the work. It reads zeros where it reads single numbers.
  /// - Throws: `TorchError` where this thread rehearses already; what `body` throws.
  public static func run<Result>(on device: Device, _ body: (MemoryRehearsal) throws -> Result) throws -> Result {
    try Tensor.run("rehearsal") { ct_rehearsal_begin(device == .cpu) }
    defer { ct_rehearsal_end() }
    return try body(MemoryRehearsal())
  }

  /// Says what is taken from now on.
  public func enter(_ phase: Phase) throws(TorchError) { try Tensor.run("rehearsal") { ct_rehearsal_phase(phase.rawValue) } }

  /// What was taken so far.
  public func report() throws(TorchError) -> Report {
    var memory = ct_rehearsal_memory()
    try Tensor.run("rehearsal") { ct_rehearsal_report(&memory) }
    func phases(_ bytes: UnsafeRawBufferPointer) -> [Phase: Int] {
      let numbers = bytes.bindMemory(to: Int64.self)
      return Dictionary(uniqueKeysWithValues: Phase.allCases.map { ($0, Int(numbers[Int($0.rawValue)])) })
    }
    return Report(
      live: Int(memory.live), most: Int(memory.most), resident: Int(memory.resident),
      atMost: withUnsafeBytes(of: memory.at_most, phases), staying: withUnsafeBytes(of: memory.staying, phases))
  }
}
