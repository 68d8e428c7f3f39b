import NN
import Torch

/// What a method adds to one projection.
///
/// A method is one file with its configuration and its delta. It sees the projection it changes, not that projection's result,
/// so that it may change inputs, outputs or the weight itself.
public protocol AdapterDelta: Module {
  /// The changed projection's output. x [.., in] → [.., out].
  func forward(_ x: Tensor, through base: any Projection) throws(TorchError) -> Tensor
  /// What it adds to the weight, where it is nothing but a low-rank update.
  func lowRankUpdate() throws(TorchError) -> LowRankUpdate?
  /// What the base's own product takes along; nil where it is cheaper beside it.
  func fusedUpdate() throws(TorchError) -> LowRankUpdate?
  /// A projection of its own that gives the same output; `base` stays as it is.
  func merged(into base: any Projection) throws(TorchError) -> any Projection
  /// What is trained, under the names that follow the projection's path: `lora_A.weight` …
  var trained: [(name: String, slot: ParameterSlot)] { get }
  /// What is saved, under the names that follow the projection's path.
  var saved: [SavedTensor] { get }
}

extension AdapterDelta {
  /// Nil.
  public func lowRankUpdate() throws(TorchError) -> LowRankUpdate? { nil }

  /// What it adds to the weight.
  public func fusedUpdate() throws(TorchError) -> LowRankUpdate? { try lowRankUpdate() }

  /// Every trained parameter, under its own name.
  public var saved: [SavedTensor] {
    trained.compactMap { name, slot in slot.value.map { SavedTensor(name, $0) } }
  }
}

/// A delta of an adapter on one projection.
final class ProjectionPart: AdapterPart {
  /// The path the projection has in its checkpoint.
  let path: String
  /// The wrapper it stands in.
  let projection: AdaptedProjection
  /// The delta.
  let delta: any AdapterDelta
  private let slot: ProjectionSlot
  private let name: String

  /// Puts `delta` on the projection in `slot`, not yet active.
  init(_ delta: any AdapterDelta, named name: String, at path: String, in slot: ProjectionSlot) {
    (self.path, self.delta, self.slot, self.name) = (path, delta, slot, name)
    projection = (slot.value as? AdaptedProjection) ?? AdaptedProjection(slot.value)
    projection.install(delta, named: name)
    slot.value = projection
  }

  var trained: [(path: String, value: Tensor)] {
    delta.trained.compactMap { name, slot in slot.value.map { ("\(path).\(name)", $0) } }
  }

  var saved: [SavedTensor] { delta.saved.map { $0.named("\(SavedTensor.modulePrefix)\(path).\($0.name)") } }

  var isDivisible: Bool { true }

  func activate(_ on: Bool) { projection.activate(name, on) }

  /// Says how strongly it takes part while it is active.
  func weigh(_ weight: Double) { projection.weigh(name, weight) }

  func remove() {
    projection.remove(name)
    if projection.deltas.isEmpty { slot.value = projection.base }
  }

  func merge() throws -> () -> Void { {} }
}

/// A projection with the deltas of the adapters installed on it; those that are active change its output.
public final class AdaptedProjection: Module, Projection {
  /// The projection as it was.
  @Projected("base_layer") public private(set) var base: any Projection
  /// The deltas by adapter name, in order of installation.
  @NamedChildren("adapters", asModule: { $0 }) public private(set) var deltas: [(name: String, module: any AdapterDelta)]
  /// The adapters that take part, in this order.
  public private(set) var active: [String] = []
  /// How strongly those take part that do not with 1.
  private var weights: [String: Double] = [:]
  /// Which of them work on which rows; nil where those that are active work on all.
  var routing: AdapterRouting?

  /// Wraps `base`, with no delta yet.
  public init(_ base: any Projection) {
    super.init()
    self.base = base
  }

  /// Puts a delta beside the others, replacing one of that name.
  func install(_ delta: any AdapterDelta, named name: String) {
    deltas = deltas.filter { $0.name != name } + [(name, delta)]
  }

  /// Takes a delta away.
  func remove(_ name: String) {
    deltas = deltas.filter { $0.name != name }
    active = active.filter { $0 != name }
  }

  /// Lets an adapter take part, as strongly as it was trained, after those that do already, or no longer.
  func activate(_ name: String, _ on: Bool) {
    active = active.filter { $0 != name } + (on ? [name] : [])
    weights[name] = nil
  }

  /// Says how strongly an adapter takes part.
  func weigh(_ name: String, _ weight: Double) { weights[name] = weight }

  /// The delta of an adapter.
  public func delta(_ name: String) -> (any AdapterDelta)? { deltas.first { $0.name == name }?.module }

  fileprivate var activeDeltas: [ActiveDelta] { activeDeltas(active.map { AdapterUse($0, weight: weights[$0] ?? 1) }) }

  private func activeDeltas(_ uses: [AdapterUse]) -> [ActiveDelta] {
    uses.compactMap { use in delta(use.name).map { ActiveDelta(delta: $0, weight: use.weight) } }
  }

  /// Features that go in.
  public var inputSize: Int { base.inputSize }
  /// Features that come out.
  public var outputSize: Int { base.outputSize }
  /// As the base stores its weight.
  public var storesTransposed: Bool { base.storesTransposed }
  /// The base's bias.
  public var denseBias: Tensor? { base.denseBias }

  /// The base's output changed by the active deltas, each seeing the one before as its base.
  public func forward(_ x: Tensor) throws(TorchError) -> Tensor {
    if let routing { return try routing.forward(x, through: base, deltas: activeDeltas) }
    return try Self.forward(x, through: base, activeDeltas)
  }

  /// The output of `base` changed by deltas, each seeing the one before as its base.
  static func forward(
    _ x: Tensor, through base: any Projection, _ deltas: [ActiveDelta]
  ) throws(TorchError) -> Tensor {
    switch deltas.count {
    case 0: return try base.forward(x)
    case 1: return try deltas[0].forward(x, through: base)
    default: return try deltas[deltas.count - 1].forward(x, through: ChainedProjection(base, deltas.dropLast()))
    }
  }

  /// The base's numbers, with the update of the one active delta that is one.
  public func linearWeight(for dtype: DType) throws(TorchError) -> LinearWeight? {
    guard routing == nil else { return nil }
    let deltas = activeDeltas
    if deltas.isEmpty { return try base.linearWeight(for: dtype) }
    guard deltas.count == 1, let update = try deltas[0].fusedUpdate() else { return nil }
    return try base.linearWeight(for: dtype, plus: update)
  }

  /// The base's weight.
  public func denseWeight() throws(TorchError) -> Tensor { try base.denseWeight() }
  /// The base's.
  public func releaseWeight() { base.releaseWeight() }

  /// A projection like the base with other numbers.
  public func replacing(weight: Tensor, bias: Tensor?) throws(TorchError) -> any Projection {
    try base.replacing(weight: weight, bias: bias)
  }

  /// One projection that gives the same output as this one does now.
  func merged() throws(TorchError) -> any Projection {
    var result = base
    for delta in activeDeltas { result = try delta.merged(into: result) }
    return result
  }
}

extension AdaptedProjection {
  /// The same, made anew each time it is needed, in numbers of an element type.
  func mergedOnDemand(as dtype: DType) throws(TorchError) -> MergedProjection {
    try MergedProjection(base, activeDeltas, as: dtype)
  }
}

/// A projection as a later delta sees it: with the earlier ones already at work.
private final class ChainedProjection: Module, Projection {
  private let base: any Projection
  private let delta: ActiveDelta

  init(_ base: any Projection, _ deltas: ArraySlice<ActiveDelta>) {
    self.base = deltas.count > 1 ? ChainedProjection(base, deltas.dropLast()) : base
    delta = deltas[deltas.endIndex - 1]
  }

  var inputSize: Int { base.inputSize }
  var outputSize: Int { base.outputSize }
  var storesTransposed: Bool { base.storesTransposed }
  var denseBias: Tensor? { base.denseBias }
  func forward(_ x: Tensor) throws(TorchError) -> Tensor { try delta.forward(x, through: base) }
  func denseWeight() throws(TorchError) -> Tensor { try delta.merged(into: base).denseWeight() }
  func replacing(weight: Tensor, bias: Tensor?) throws(TorchError) -> any Projection {
    try base.replacing(weight: weight, bias: bias)
  }
}
