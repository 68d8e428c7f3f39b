import NN
import Torch

/// One adapter installed in a model: everything it has put there.
public final class Adapter {
  /// Its name among the adapters of the model.
  public let name: String
  /// The method's settings.
  public let configuration: any TuningMethod
  /// What follows training beside the optimizer; nil for most methods.
  public let companion: (any TrainingCompanion)?
  let parts: [any AdapterPart]

  init(
    name: String, configuration: any TuningMethod, parts: [any AdapterPart], companion: (any TrainingCompanion)? = nil
  ) {
    (self.name, self.configuration, self.parts, self.companion) = (name, configuration, parts, companion)
  }

  /// What is trained, under the names PEFT gives it without their first part, in the model's order.
  public var parameters: [(path: String, value: Tensor)] { parts.flatMap(\.trained) }

  /// What its file holds.
  public var saved: [SavedTensor] { parts.flatMap(\.saved) }

  /// What PEFT's files have no place for and training needs to go on exactly.
  public var state: [SavedTensor] { parts.flatMap(\.state) + (companion?.state ?? []) }

  /// Where each delta stands, by the path the projection has in its checkpoint.
  var deltas: [(path: String, projection: AdaptedProjection, delta: any AdapterDelta)] {
    parts.compactMap { ($0 as? ProjectionPart).map { ($0.path, $0.projection, $0.delta) } }
  }

  /// Asks for gradients of everything it trains, or stops asking.
  public func setTrainable(_ on: Bool) throws(TorchError) {
    for (_, value) in parameters { try value.setRequiresGradient(on) }
  }

  /// The numbers it trains.
  public var parameterCount: Int { parameters.reduce(0) { $0 + $1.value.count } }
}

/// Something an adapter has put into a model: a delta on a projection, copies of parameters, virtual tokens.
protocol AdapterPart: AnyObject {
  /// What is trained, under the names PEFT gives it without their first part.
  var trained: [(path: String, value: Tensor)] { get }
  /// What its file holds.
  var saved: [SavedTensor] { get }
  /// What PEFT's files have no place for and training needs to go on exactly.
  var state: [SavedTensor] { get }
  /// The parameters of the base that it stands in for; no other active adapter may stand in for the same.
  var replaced: [String] { get }
  /// True where the base is gone: it stays at work whatever is asked for.
  var isPermanent: Bool { get }
  /// Whether it can take part with a weight.
  var isDivisible: Bool { get }
  /// Whether it can take part on some rows of a batch alone.
  var servesRows: Bool { get }
  /// Takes part from now on, after those that do already, or no longer.
  func activate(_ on: Bool)
  /// Says how strongly it takes part while it is active, where it is divisible.
  func weigh(_ weight: Double)
  /// Takes itself, which is not active, out of the model.
  func remove()
  /// Says what makes it part of the model's own weights, which cannot fail any more. Projections and embeddings with deltas are
  /// merged by the set, since several adapters may work on one.
  ///
  /// - Throws: ``TunerError`` where no weights can do what it does.
  func merge() throws -> () -> Void
}

extension AdapterPart {
  /// Every trained parameter, under its own name.
  var saved: [SavedTensor] { trained.map { SavedTensor(SavedTensor.modulePrefix + $0.path, $0.value) } }
  var state: [SavedTensor] { [] }
  var replaced: [String] { [] }
  var isPermanent: Bool { false }
  var isDivisible: Bool { false }
  var servesRows: Bool { isDivisible }
  func weigh(_ weight: Double) {}
}

/// One tensor of an adapter's file: how it is made, and how it is put back.
public struct SavedTensor {
  /// What PEFT puts before the paths of a model's modules.
  static let modulePrefix = "base_model.model."

  /// Its name in the file.
  public let name: String
  /// The shape it must have in a file.
  let shape: [Int]
  /// Whether it is written; otherwise a file may have it or not.
  let isWritten: Bool
  /// The numbers to write.
  let value: () throws(TorchError) -> Tensor
  /// Takes numbers of that shape.
  let restore: (Tensor) throws(TorchError) -> Void

  /// A tensor that is made for the file and taken apart again.
  init(
    _ name: String, shape: [Int], isWritten: Bool = true, value: @escaping () throws(TorchError) -> Tensor,
    restore: @escaping (Tensor) throws(TorchError) -> Void
  ) {
    (self.name, self.shape, self.isWritten, self.value, self.restore) = (name, shape, isWritten, value, restore)
  }

  /// A tensor as it is.
  init(_ name: String, _ tensor: Tensor) {
    self.init(
      name, shape: tensor.shape, value: { () throws(TorchError) in tensor },
      restore: { source throws(TorchError) in try tensor.copyInPlace(source) })
  }

  /// The same under another name.
  func named(_ name: String) -> SavedTensor {
    SavedTensor(name, shape: shape, isWritten: isWritten, value: value, restore: restore)
  }
}

/// What a method does in the course of training besides following gradients.
public protocol TrainingCompanion: AnyObject {
  /// Told before the first step how many there will be at most.
  func begin(totalSteps: Int) throws
  /// What is added to the loss of each optimizer step, with a graph behind it; nil for nothing.
  func penalty() throws -> Tensor?
  /// Called after each optimizer step, from 1, while its gradients are still there.
  ///
  /// - Parameters:
  ///   - step: the step.
  ///   - gradientScale: what the optimizer multiplied the gradients by, to clip them.
  func stepped(_ step: Int, gradientScale: Double) throws
  /// What it needs to go on exactly.
  var state: [SavedTensor] { get }
}
