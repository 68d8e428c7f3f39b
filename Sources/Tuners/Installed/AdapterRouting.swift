import NN
import Torch

/// Which adapters work on which rows of a pass, for batches whose requests want different ones.
///
/// The base's product is one for all rows; what low-rank adapters add is computed for the rows of each choice by themselves. Soft
/// prompts stand before the rows of their own requests.
public final class AdapterRouting: RowRouting, SublayerRouting, PromptRouting {
  /// What a request asks for.
  struct Choice: Hashable {
    /// The adapters at work, in order.
    let uses: [AdapterUse]
    /// The task of soft prompts that know several; nil for that of everybody.
    let task: Int?
  }

  /// The choices there are, each once.
  let choices: [Choice]
  private let choiceOf: [Int]
  private let virtual: [Int]
  private let device: Device
  /// Whose rows were announced for the pass.
  private var rows: [(request: Int, count: Int)] = []
  /// The rows of the pass by choice; nil before the first.
  private(set) var pass: Pass?

  /// The rows of one pass, sorted by choice.
  struct Pass {
    /// How many there are.
    let rowCount: Int
    /// The choices that occur and how many rows each has, in the order of `sorted`.
    let groups: [(choice: Int, count: Int)]
    /// Places in the pass, sorted by choice; nil where they are so already.
    let sorted: Tensor?
    /// Where each row of the pass is among the sorted ones.
    let restored: Tensor?
  }

  /// Choices by request, in a model with these soft prompts.
  init(_ requests: [Choice], prompts: SoftPrompts, device: Device) {
    var choices: [Choice] = []
    choiceOf = requests.map { choice in
      if let place = choices.firstIndex(of: choice) { return place }
      choices.append(choice)
      return choices.count - 1
    }
    virtual = choices.map { prompts.count(of: $0.uses.map(\.name)) }
    (self.choices, self.device) = (choices, device)
  }

  /// Which choice a request has.
  public func kind(of request: Int) -> Int { choiceOf[request] }

  /// The virtual tokens of a request's soft prompts.
  public func virtualTokens(of request: Int) -> Int { virtual[choiceOf[request]] }

  /// Takes note of whose rows come next.
  public func route(_ rows: [(request: Int, count: Int)]) {
    self.rows = rows
    sort(rows)
  }

  /// The soft prompts of those whose rows were announced.
  public func prompts(beforeRows count: Int) throws(TorchError) -> [PromptChoice] {
    if virtual.allSatisfy({ $0 == 0 }) { return Array(repeating: PromptChoice([]), count: count) }
    guard count == rows.count else {
      throw TorchError(
        operation: "adapter_routing", message: "\(count) rows of tokens begin, and \(rows.count) were announced")
    }
    return rows.map { row in
      let choice = choices[choiceOf[row.request]]
      return PromptChoice(choice.uses.map(\.name), task: choice.task)
    }
  }

  /// Takes note of the virtual tokens before the rows that were announced: they are the same requests'.
  public func widen(by virtual: [Int]) { sort(zip(rows, virtual).map { ($0.request, $0.count + $1) }) }

  /// Sorts the rows of a pass by choice.
  private func sort(_ rows: [(request: Int, count: Int)]) {
    let owners = rows.flatMap { repeatElement(choiceOf[$0.request], count: $0.count) }
    let sorted = owners.indices.sorted { (owners[$0], $0) < (owners[$1], $1) }
    var groups: [(choice: Int, count: Int)] = []
    for place in sorted {
      if groups.last?.choice == owners[place] {
        groups[groups.count - 1].count += 1
      } else {
        groups.append((owners[place], 1))
      }
    }
    guard groups.count > 1, sorted != Array(owners.indices) else {
      pass = Pass(rowCount: owners.count, groups: groups, sorted: nil, restored: nil)
      return
    }
    var restored = [Int64](repeating: 0, count: sorted.count)
    for (place, row) in sorted.enumerated() { restored[row] = Int64(place) }
    // Indices of a size that libtorch takes: this fails only where memory is out, and then the pass fails with a word of it.
    pass = Pass(
      rowCount: owners.count, groups: groups, sorted: try? Tensor(sorted.map(Int64.init)).to(device),
      restored: try? Tensor(restored).to(device))
  }

  /// The output of a projection for the rows of the pass. x [.., in] → [.., out].
  ///
  /// - Parameter deltas: those at work for a choice, in order.
  func forward(
    _ x: Tensor, through base: any Projection, deltas: ([AdapterUse]) -> [ActiveDelta]
  ) throws(TorchError) -> Tensor {
    let shape = x.shape
    let rowCount = shape.dropLast().reduce(1, *)
    let pass = try announced(rowCount, x)
    if pass.groups.count == 1 {
      return try AdaptedProjection.forward(x, through: base, deltas(choices[pass.groups[0].choice].uses))
    }
    let flat = try x.reshaped([rowCount, shape[shape.count - 1]])
    let rows = if let sorted = pass.sorted { try flat.indexed(0, sorted) } else { flat }
    let together = try Tensor.concatenated(
      try outputs(rows, of: pass.groups.map { (deltas(choices[$0.choice].uses), $0.count) }, through: base), 0)
    let restored = if let order = pass.restored { try together.indexed(0, order) } else { together }
    return try restored.reshaped(shape.dropLast() + [base.outputSize])
  }

  /// What is added to the stream behind a part of a layer, for the rows of the pass. output, stream [.., d] → [.., d].
  public func forward(_ output: Tensor, onto stream: Tensor, at place: SublayerAdapters) throws(TorchError) -> Tensor {
    let shape = output.shape
    let rowCount = shape.dropLast().reduce(1, *)
    let pass = try announced(rowCount, output)
    let uses = pass.groups.map { choices[$0.choice].uses.map { (name: $0.name, weight: $0.weight) } }
    if uses.count == 1 { return try place.forward(output, onto: stream, through: uses[0]) }
    var parts: [[Tensor]] = []
    for whole in [output, stream] {
      let flat = try whole.reshaped([rowCount, shape[shape.count - 1]])
      let rows = if let order = pass.sorted { try flat.indexed(0, order) } else { flat }
      parts.append(try rows.split(0, pass.groups.map(\.count)))
    }
    var changed: [Tensor] = []
    for index in uses.indices {
      changed.append(try place.forward(parts[0][index], onto: parts[1][index], through: uses[index]))
    }
    let together = try Tensor.concatenated(changed, 0)
    let restored = if let order = pass.restored { try together.indexed(0, order) } else { together }
    return try restored.reshaped(shape)
  }

  /// The rows of a pass that was announced.
  private func announced(_ rowCount: Int, _ x: Tensor) throws(TorchError) -> Pass {
    guard let pass, pass.rowCount == rowCount else {
      throw TorchError(
        operation: "adapter_routing", operands: [x],
        message: "a pass of \(rowCount) rows, and \(pass?.rowCount ?? 0) were announced")
    }
    return pass
  }

  /// The outputs for groups of rows that lie one after the other.
  private func outputs(
    _ rows: Tensor, of groups: [(deltas: [ActiveDelta], count: Int)], through base: any Projection
  ) throws(TorchError) -> [Tensor] {
    let counts = groups.map(\.count)
    let inputs = try rows.split(0, counts)
    var updates: [[LowRankUpdate]] = []
    for group in groups {
      var own: [LowRankUpdate] = []
      for delta in group.deltas { if let update = try delta.lowRankUpdate() { own.append(update) } }
      updates.append(own)
    }
    var outputs: [Tensor] = []
    if zip(groups, updates).allSatisfy({ $0.deltas.count == $1.count }) {
      let plain = try base.forward(rows).split(0, counts)
      for place in groups.indices { outputs.append(try Self.add(updates[place], of: inputs[place], to: plain[place])) }
    } else {
      for (place, group) in groups.enumerated() {
        outputs.append(try AdaptedProjection.forward(inputs[place], through: base, group.deltas))
      }
    }
    return outputs
  }

  /// y + Σ s·B·A·x.
  private static func add(_ updates: [LowRankUpdate], of x: Tensor, to y: Tensor) throws(TorchError) -> Tensor {
    var sum = y
    for update in updates {
      let low = try x.linear(try update.a.to(x.dtype)) * update.scale
      sum = try sum + low.linear(try update.b.to(x.dtype))
    }
    return sum
  }
}
