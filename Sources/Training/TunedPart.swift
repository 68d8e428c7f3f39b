import Foundation
import Torch
import Tuners

/// What a run changes and leaves on disk.
public protocol TunedPart {
  /// What is tuned, with the names its files give it.
  var parameters: [(path: String, value: Tensor)] { get }
  /// What a method does in the course of training besides following gradients.
  var companion: (any TrainingCompanion)? { get }
  /// What the run's learning rate is multiplied by for the parameter at a path.
  func rateScale(of path: String, learningRate: Double) -> Double
  /// Whether the gradient of each parameter is complete at one moment of a backward pass, whatever is computed again in it.
  var gradientsComeWhole: Bool { get }
  /// Writes it in its standard layout, with what training needs to go on exactly.
  func save(to folder: URL) throws
  /// Reads it back from what ``save(to:)`` wrote.
  func restore(from folder: URL) throws
}

extension TunedPart {
  /// None.
  public var companion: (any TrainingCompanion)? { nil }
  /// False: a part of an adapter may serve several layers.
  public var gradientsComeWhole: Bool { false }
  /// 1.
  public func rateScale(of path: String, learningRate: Double) -> Double { 1 }
}

/// An adapter as the result of a run.
public struct TunedAdapter: TunedPart {
  private let adapter: Adapter
  private let base: String
  private let record: AdapterRecord
  private let anyBase: Bool
  private let writeBeside: (URL) throws -> Void

  /// - Parameters:
  ///   - adapter: the adapter being tuned.
  ///   - base: `base_model_name_or_path` in its files.
  ///   - record: what is noted of it beside them.
  ///   - anyBase: restore also what was saved with another base.
  ///   - writeBeside: writes what else belongs into its folder.
  public init(
    _ adapter: Adapter, base: String, record: AdapterRecord = AdapterRecord(), anyBase: Bool = false,
    writeBeside: @escaping (URL) throws -> Void = { _ in }
  ) {
    self.adapter = adapter
    self.base = base
    self.record = record
    self.anyBase = anyBase
    self.writeBeside = writeBeside
  }

  /// Everything the adapter trains.
  public var parameters: [(path: String, value: Tensor)] { adapter.parameters }
  /// The method's.
  public var companion: (any TrainingCompanion)? { adapter.companion }
  /// As the method's settings say.
  public func rateScale(of path: String, learningRate: Double) -> Double {
    adapter.configuration.rateScale(of: path, learningRate: learningRate)
  }

  /// Writes PEFT's two files, a third where they do not hold everything, and the record beside them.
  public func save(to folder: URL) throws {
    try AdapterFolder.save(adapter, base: base, to: folder)
    try writeBeside(folder)
    try record.write(to: folder)
  }

  /// Reads the tensors back.
  ///
  /// - Throws: `TunerError` where they were trained on another base, or on this one quantized otherwise, besides what reading throws.
  public func restore(from folder: URL) throws {
    if !anyBase, let own = record.base, let saved = try AdapterRecord(readingFrom: folder)?.base {
      guard own.isSameModel(as: saved) else {
        throw TunerError(
          "\(folder.path) was trained on other weights than those of \(base) now: on \(saved.fingerprint), and these are "
            + "\(own.fingerprint). Go on with the model the run began with; --any-base goes on with this one")
      }
      guard own.isSameForm(as: saved) else {
        throw TunerError(
          "\(folder.path) was trained over the weights of \(base) \(saved.form), and now they are \(own.form). Go on with the "
            + "quantization the run began with; --any-base goes on with this one")
      }
    }
    try AdapterFolder.restore(adapter, from: folder)
  }
}
